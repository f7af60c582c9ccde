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
        // A volume that was healthy is not known to be so any more.
        #expect(counts?.healthy == 0)
        #expect(counts?.unknown == 1)
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
