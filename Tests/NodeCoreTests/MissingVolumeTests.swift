// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Testing

@testable import HealthCore
@testable import NodeCore

/// Volumes that the driver does not find (rule 5).
struct MissingVolumeTests {
    static let missing = VolumeHealthCondition.notFound(volumeHandle: "h-data")

    @Test(.tags(.rule5)) func `a volume that was found and is not found twice is missing`() {
        var node = ResponseTests.node(.named("a"), .named("b", claims: ["y"]))
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
        var node = ResponseTests.node(.named("a"))
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
            var node = ResponseTests.node(.named("a"))
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
        var node = ResponseTests.node(.named("a"))
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
            var node = ResponseTests.node(.named("a"))
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

    /// A node with three volumes that were found.
    private static func nodeWithThreeVolumes() -> Simulation {
        ResponseTests.node(.named("a"), .named("b", claims: ["y"]), .named("c", claims: ["z"]))
    }

    @Test(.tags(.rule5)) func `no volume is missing at once while the driver finds none of several`() {
        var node = Self.nodeWithThreeVolumes()
        node.respond = { _, _ in (.failed(.notFound), .zero) }
        node.run(for: .seconds(300))
        #expect(node.events.isEmpty)
        node.respond = { probe, _ in (probe.volumeHandle == "h-z" ? .healthy : .failed(.notFound), .zero) }
        node.run(for: .seconds(180))
        #expect(Set(node.events.map(\.pod)) == ["a", "b"])
    }

    @Test(.tags(.rule5)) func `a driver that finds none of several volumes for ten minutes is believed`() {
        var node = Self.nodeWithThreeVolumes()
        node.respond = { _, _ in (.failed(.notFound), .zero) }
        let began = node.now
        node.run(for: .seconds(590))
        #expect(node.events.isEmpty)
        node.run(for: .seconds(140))
        #expect(Set(node.events.map(\.pod)) == ["a", "b", "c"])
        #expect(node.events.allSatisfy { $0.time - began >= .seconds(600) })
        node.respond = { _, _ in (.healthy, .zero) }
        node.run(for: .seconds(120))
        #expect(node.transitions(pod: "a") == [[Self.missing], []])
    }

    @Test(.tags(.rule5)) func `a new connection of a driver that finds no volume begins the ten minutes again`() {
        var node = Self.nodeWithThreeVolumes()
        node.respond = { _, _ in (.failed(.notFound), .zero) }
        node.run(for: .seconds(500))
        node.reconnect()
        node.run(for: .seconds(590))
        #expect(node.events.isEmpty)
        node.run(for: .seconds(140))
        #expect(Set(node.events.map(\.pod)) == ["a", "b", "c"])
    }

    @Test(.tags(.rule1)) func `volumes that the driver does not find are not counted as healthy`() {
        var node = Self.nodeWithThreeVolumes()
        #expect(node.state.snapshot(at: node.now).drivers.first?.counts.healthy == 3)
        node.respond = { _, _ in (.failed(.notFound), .zero) }
        node.run(for: .seconds(60))
        let counts = node.state.snapshot(at: node.now).drivers.first?.counts
        #expect(counts?.healthy == 0)
        #expect(counts?.unknown == 3)
        #expect(counts?.unresponsive == 0)
    }

    // MARK: Found again

    /// A driver whose responses have no health, for a volume that it does not find from a minute on for three minutes.
    private static func nodeWithoutHealth(_ outcome: NodeProbeOutcome) -> Simulation {
        var node = Simulation(.init(writesReadiness: true))
        node.respond = { _, now in
            (now >= .seconds(60) && now < .seconds(240) ? .failed(.notFound) : outcome, .milliseconds(5))
        }
        node.list()
        node.apply(.named("a", gated: true))
        return node
    }

    @Test(.tags(.rule5), arguments: [NodeProbeOutcome.noCondition, .unknown(type: 9)])
    func `a missing volume that is found again without health has recovered`(outcome: NodeProbeOutcome) {
        var node = Self.nodeWithoutHealth(outcome)
        node.run(for: .seconds(240))
        #expect(node.transitions(pod: "a") == [[Self.missing]])
        node.run(for: .seconds(60))
        #expect(node.transitions(pod: "a") == [[Self.missing], []])
        #expect(node.conditions.map(\.condition.status) == [.true, .false, .true])
        // The driver still reports no health that is known.
        let counts = node.state.snapshot(at: node.now).drivers.first?.counts
        #expect(counts?.unknown == 1)
        #expect(counts?.healthy == 0)
    }

    @Test(.tags(.rule5)) func `after a reconnection a missing volume must be found twice`() {
        var node = Self.nodeWithoutHealth(.noCondition)
        node.run(for: .seconds(240))
        node.reconnect()
        let before = node.calls.count
        while node.calls.count == before { node.run(for: .seconds(1)) }
        node.run(for: .seconds(10))
        #expect(node.transitions(pod: "a") == [[Self.missing]])
        node.run(for: .seconds(60))
        #expect(node.transitions(pod: "a") == [[Self.missing], []])
    }

    @Test(.tags(.rule9), arguments: [true, false])
    func `a volume that an earlier process reported as missing recovers without health too`(isGated: Bool) {
        var node = Simulation(.init(writesReadiness: true))
        node.respond = { _, _ in (.noCondition, .milliseconds(5)) }
        node.readBack = { _ in
            .reported(VolumeState([Self.missing]).fingerprint, reportedAt: .zero, since: .zero)
        }
        let pod = NodePod.named("a", gated: isGated)
        node.list(isGated ? pod.showing("False", reason: "VolumeNotFound") : pod)
        node.run(for: .seconds(180))
        #expect(node.transitions(pod: "a") == [[]])
        #expect(node.conditions.map(\.condition) == (isGated ? [.healthy] : []))
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
            var node = ResponseTests.node(.named("a"), configuration: configuration)
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
}
