// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Testing

@testable import HealthCore
@testable import NodeCore

struct ResponseTests {
    /// A node whose pods have started after this process.
    static func node(_ pods: NodePod..., configuration: NodeHealthState.Configuration = .init()) -> Simulation {
        var node = Simulation(configuration)
        node.list()
        for pod in pods { node.apply(pod) }
        node.run(for: .seconds(120))
        return node
    }

    @Test(
        .tags(.rule1),
        arguments: [
            NodeProbeFailure.invalidArgument, .internal, .deadlineExceeded, .aborted, .unavailable, .other,
        ]
    )
    func `a failed call changes nothing`(failure: NodeProbeFailure) {
        var node = Self.node(.named("a"), .named("b", claims: ["y"]))
        node.respond = { probe, _ in
            (probe.volumeHandle == "h-y" ? .unhealthy(.degraded) : .healthy, .milliseconds(5))
        }
        node.run(for: .seconds(120))
        node.respond = { _, _ in (.failed(failure), .zero) }
        node.run(for: .seconds(1200))
        #expect(node.events.map(\.pod) == ["b"])
        let counts = node.state.snapshot(at: node.now).drivers.first?.counts
        #expect(counts?.healthy == (failure.isResponse ? 1 : 0))
        #expect(counts?.unknown == (failure.isResponse ? 0 : 1))
        #expect(counts?.unhealthy == 1)
    }

    @Test(.tags(.rule6)) func `a new message is reported at most every ten minutes`() {
        var node = Self.node(.named("a"))
        var count = 0
        node.respond = { _, _ in
            count += 1
            let message = "no response for \(count) seconds"
            return (.unhealthy(VolumeHealthCondition(status: .degraded, reason: "Slow", message: message)), .zero)
        }
        node.run(for: .seconds(3600))
        #expect(node.transitions(pod: "a").count == 1)
        #expect((5...7).contains(node.events.count))
    }

    @Test(.tags(.rule6)) func `an unknown condition is reported once and clears nothing`() {
        var node = Self.node(.named("a"))
        node.respond = { _, _ in (.unhealthy(.inaccessible), .zero) }
        node.run(for: .seconds(120))
        node.respond = { _, _ in (.unknown(type: 9), .zero) }
        node.run(for: .seconds(1200))
        #expect(node.transitions(pod: "a") == [[.inaccessible]])
        #expect(node.unknownEvents.map(\.type) == [9])
    }

    @Test func `a response without a volume condition says nothing of the health`() {
        var node = Self.node(.named("a"))
        node.respond = { _, _ in (.unhealthy(.legacy), .zero) }
        node.run(for: .seconds(120))
        node.respond = { _, _ in (.noCondition, .zero) }
        node.run(for: .seconds(1200))
        #expect(node.transitions(pod: "a") == [[.legacy]])
    }

    // MARK: Missing volumes (rule 5)

    static let missing = VolumeHealthCondition.notFound(volumeHandle: "h-data")

    @Test(.tags(.rule5)) func `a volume that was found and is not found twice is missing`() {
        var node = Self.node(.named("a"), .named("b", claims: ["y"]))
        node.respond = { probe, _ in
            (probe.volumeHandle == "h-data" ? .failed(.notFound) : .healthy, .milliseconds(5))
        }
        let before = node.calls(pod: "a").count
        node.run(for: .seconds(180))
        #expect(node.transitions(pod: "a") == [[Self.missing]])
        let calls = node.calls(pod: "a").dropFirst(before).map(\.began)
        #expect(calls[1] - calls[0] >= .seconds(5) && calls[1] - calls[0] < .seconds(6))
        node.respond = { _, _ in (.healthy, .milliseconds(5)) }
        node.run(for: .seconds(120))
        #expect(node.transitions(pod: "a") == [[Self.missing], []])
    }

    @Test(.tags(.rule5)) func `a volume that is not found once is not missing`() {
        var node = Self.node(.named("a"))
        var fails = false
        node.respond = { _, _ in
            fails.toggle()
            return (fails ? .failed(.notFound) : .healthy, .zero)
        }
        node.run(for: .seconds(1200))
        #expect(node.events.isEmpty)
    }

    /// The only volume of the driver, so that no other one shows whether the driver is at fault. Where the driver was
    /// away for long, the volume is probed at once, and again in its turn.
    @Test(.tags(.rule5), arguments: [1, 2], [0, 60])
    func `a driver that restarts and does not know its volumes at once loses none`(pods: Int, away: Int) {
        for seconds in stride(from: 1, through: 59, by: 2) {
            var node = Self.node(.named("a"))
            if pods == 2 {
                node.apply(.named("b"))
                node.run(for: .seconds(120))
            }
            node.run(for: .seconds(seconds))
            node.state.driverDisconnected(driverName)
            node.run(for: .seconds(away))
            node.reconnect()
            let restarted = node.now
            node.respond = { _, now in
                (now - restarted < .seconds(50) ? .failed(.notFound) : .healthy, .milliseconds(5))
            }
            node.run(for: .seconds(600))
            #expect(node.events.isEmpty, "\(seconds)")
        }
    }

    @Test(.tags(.rule5)) func `a volume that is not found before and after a restart of the driver is found once`() {
        var node = Self.node(.named("a"))
        node.respond = { _, _ in (.failed(.notFound), .zero) }
        let before = node.calls.count
        while node.calls.count == before { node.run(for: .milliseconds(100)) }
        node.reconnect()
        let restarted = node.now
        node.respond = { _, now in (now - restarted < .seconds(50) ? .failed(.notFound) : .healthy, .zero) }
        node.run(for: .seconds(600))
        #expect(node.events.isEmpty)
    }

    @Test(.tags(.rule5)) func `a volume that a restarted driver does not find for an interval is missing`() {
        for seconds in stride(from: 1, through: 59, by: 2) {
            var node = Self.node(.named("a"))
            node.run(for: .seconds(seconds))
            node.reconnect()
            let restarted = node.now
            node.respond = { _, _ in (.failed(.notFound), .milliseconds(5)) }
            node.run(for: .seconds(200))
            #expect(node.transitions(pod: "a") == [[Self.missing]], "\(seconds)")
            #expect(node.events.allSatisfy { $0.time - restarted >= .seconds(60) }, "\(seconds)")
        }
    }

    @Test(.tags(.rule5)) func `a volume that was never found at its path is not missing`() {
        var node = Simulation()
        node.list()
        node.respond = { probe, _ in (probe.volumeHandle == "h-data" ? .failed(.notFound) : .healthy, .zero) }
        node.apply(.named("a"), .named("b", claims: ["y"]))
        node.run(for: .seconds(3600))
        #expect(node.events.isEmpty)
    }

    @Test(.tags(.rule5)) func `no volume is missing while the driver finds none of several`() {
        var node = Self.node(.named("a"), .named("b", claims: ["y"]), .named("c", claims: ["z"]))
        node.respond = { _, _ in (.failed(.notFound), .zero) }
        node.run(for: .seconds(3600))
        #expect(node.events.isEmpty)
        node.respond = { probe, _ in (probe.volumeHandle == "h-z" ? .healthy : .failed(.notFound), .zero) }
        node.run(for: .seconds(180))
        #expect(Set(node.events.map(\.pod)) == ["a", "b"])
    }

    @Test(.tags(.rule5), arguments: [NodeProbeOutcome.failed(.deadlineExceeded), .failed(.internal)])
    func `another volume that hangs, or was never found, does not stop the report`(other: NodeProbeOutcome) {
        let hangs = other == .failed(.deadlineExceeded)
        var node = Simulation()
        var isFailing = false
        node.respond = { probe, _ in
            if probe.volumeHandle == "h-data" { return (isFailing ? .failed(.notFound) : .healthy, .zero) }
            return !hangs || isFailing ? (other, hangs ? .seconds(15) : .zero) : (.healthy, .zero)
        }
        node.list(.named("a"), .named("b", claims: ["y"]))
        node.run(for: .seconds(120))
        isFailing = true
        node.run(for: .seconds(300))
        #expect(node.transitions(pod: "a") == [[Self.missing]])
    }

    @Test(.tags(.rule5)) func `the only volume of a driver can be missing, unless that is not to be reported`() {
        for reports in [true, false] {
            let configuration = NodeHealthState.Configuration(reportsMissingVolumes: reports)
            var node = Self.node(.named("a"), configuration: configuration)
            node.respond = { _, _ in (.failed(.notFound), .zero) }
            node.run(for: .seconds(600))
            #expect(node.transitions(pod: "a") == (reports ? [[Self.missing]] : []))
        }
    }

    @Test(arguments: [NodeProbeFailure.notFound, .invalidArgument, .internal])
    func `a wrong root directory is named once and reports nothing`(failure: NodeProbeFailure) {
        var node = Simulation(NodeHealthState.Configuration(kubeletRoot: "/wrong"))
        node.respond = { _, _ in (.failed(failure), .zero) }
        node.list(.named("a"))
        node.run(for: .seconds(600))
        #expect(node.changes.isEmpty)
        node.apply(.named("b", claims: ["y"]), .named("c", claims: ["z"]))
        node.run(for: .seconds(3600))
        let problem = NodeDriverProblem.pathsNotFound(kubeletRoot: "/wrong")
        #expect(node.changes == [.problem(problem)])
        #expect(node.events.isEmpty)
        #expect(problem.message.contains("--kubelet-root-path") && problem.message.contains("/wrong"))
        #expect(node.state.snapshot(at: node.now).drivers.map(\.problem) == [problem])
        node.respond = { _, _ in (.healthy, .zero) }
        node.run(for: .seconds(120))
        #expect(node.state.snapshot(at: node.now).drivers.map(\.problem) == [nil])
    }

    // MARK: Connections

    @Test(.tags(.rule3)) func `after a reconnection the second healthy response is a recovery`() {
        var node = Self.node(.named("a"))
        node.respond = { _, _ in (.unhealthy(.inaccessible), .zero) }
        node.run(for: .seconds(120))
        node.respond = { _, _ in (.healthy, .zero) }
        node.reconnect()
        let before = node.calls.count
        while node.calls.count == before { node.run(for: .seconds(1)) }
        node.run(for: .seconds(10))
        #expect(node.transitions(pod: "a") == [[.inaccessible]])
        while node.calls.count == before + 1 { node.run(for: .seconds(1)) }
        node.run(for: .seconds(1))
        #expect(node.transitions(pod: "a") == [[.inaccessible], []])
    }

    /// A volume whose turn passed while the driver was away is probed at once, and again at its turn, which may follow
    /// in a moment.
    @Test(.tags(.rule3)) func `two healthy responses within half an interval of a reconnection are no recovery`() {
        for seconds in stride(from: 1, through: 59, by: 2) {
            var node = Self.node(.named("a"))
            node.respond = { _, _ in (.unhealthy(.inaccessible), .zero) }
            node.run(for: .seconds(120))
            node.respond = { _, _ in (.healthy, .zero) }
            node.state.driverDisconnected(driverName)
            node.run(for: .seconds(60 + seconds))
            node.reconnect()
            let connected = node.now
            while node.transitions(pod: "a").count < 2 { node.run(for: .seconds(1)) }
            #expect(node.now - connected >= .seconds(30))
            #expect(node.transitions(pod: "a") == [[.inaccessible], []])
        }
    }

    @Test func `a driver that restarts and says healthy once does not end a condition`() {
        var node = Self.node(.named("a"))
        node.respond = { _, _ in (.unhealthy(.inaccessible), .zero) }
        node.run(for: .seconds(120))
        for _ in 0..<10 {
            node.reconnect()
            var count = 0
            node.respond = { _, _ in
                count += 1
                return (count == 1 ? .healthy : .unhealthy(.inaccessible), .zero)
            }
            node.run(for: .seconds(180))
        }
        #expect(node.transitions(pod: "a") == [[.inaccessible]])
    }

    @Test func `after a reconnection an unhealthy response counts at once`() {
        var node = Self.node(.named("a"))
        node.reconnect()
        node.respond = { _, _ in (.unhealthy(.inaccessible), .zero) }
        node.run(for: .seconds(61))
        #expect(node.transitions(pod: "a") == [[.inaccessible]])
    }

    @Test func `a response from an earlier connection is dropped`() {
        var node = Self.node(.named("a"))
        node.respond = { _, _ in (.unhealthy(.inaccessible), .seconds(10)) }
        while node.underWay.isEmpty { node.run(for: .seconds(1)) }
        node.reconnect()
        node.respond = { _, _ in (.healthy, .zero) }
        node.run(for: .seconds(600))
        #expect(node.events.isEmpty)
    }

    @Test func `no call is made without a connection`() {
        var node = Self.node(.named("a"))
        node.state.driverDisconnected(driverName)
        let calls = node.calls.count
        node.run(for: .seconds(600))
        #expect(node.calls.count == calls)
    }
}
