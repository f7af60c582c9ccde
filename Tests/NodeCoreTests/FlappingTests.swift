// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Testing

@testable import HealthCore
@testable import NodeCore

/// A driver whose responses for a volume alternate.
struct FlappingTests {
    /// A node on which the volume of the pod `a` changes at so many probes, and that of the pod `b` is healthy.
    static func node(changes: Int = .max, configuration: NodeHealthState.Configuration = .init()) -> Simulation {
        var node = Simulation(configuration)
        var count = 0
        node.respond = { probe, _ in
            guard probe.volumeHandle == "h-data" else { return (.healthy, .milliseconds(5)) }
            count = min(count + 1, changes)
            return (count % 2 == 1 ? .unhealthy(.inaccessible) : .healthy, .milliseconds(5))
        }
        node.list()
        node.apply(.named("a", gated: configuration.writesReadiness), .named("b", claims: ["y"]))
        return node
    }

    @Test(.tags(.rule10)) func `a volume that changes at each probe is reported six times, then every ten minutes`() {
        var node = Self.node()
        node.run(for: .seconds(6 * 3600))
        let times = node.events.filter { $0.report.cause == .transition }.map(\.time)
        #expect((6...6 + 36).contains(times.count))
        // The seventh change begins the flapping.
        for (earlier, later) in zip(times.dropFirst(5), times.dropFirst(6)) {
            #expect(later - earlier >= .seconds(600))
        }
        #expect(node.events.allSatisfy { $0.pod == "a" })
        // One event says so, whose count is raised every half hour.
        #expect(node.flappingEvents.filter { $0.cause == .transition }.map(\.target.podName) == ["a"])
        #expect((10...12).contains(node.flappingEvents.count))
        #expect(node.flappingEvents.first?.state.changes == 7)
        #expect((300...360).contains(node.flappingEvents.last?.state.changes ?? 0))
    }

    @Test(.tags(.rule10), arguments: [9, 10])
    func `the last state of a volume that was flapping is reported`(changes: Int) {
        var node = Self.node(changes: changes)
        node.run(for: .seconds(60 * 10 + 600))
        #expect(node.transitions(pod: "a").last == (changes % 2 == 1 ? [.inaccessible] : []))
        #expect(node.flappingEvents.count == 1)
        #expect(!node.state.flaps.flappingKeys.isEmpty)
        #expect(node.state.snapshot(at: node.now).flapping.map(\.podName) == ["a"])
        // An hour without a change ends it.
        node.run(for: .seconds(3600))
        #expect(node.state.flaps.flappingKeys.isEmpty)
        #expect(node.state.flapEvents.isEmpty)
        #expect(node.state.snapshot(at: node.now).flapping.isEmpty)
    }

    @Test func `six changes are not flapping`() {
        var node = Self.node(changes: 6)
        node.run(for: .seconds(3600))
        #expect(node.transitions(pod: "a").count == 6)
        #expect(node.flappingEvents.isEmpty)
    }

    @Test func `a pod that ends while its volume is flapping leaves nothing behind`() {
        var node = Self.node()
        node.run(for: .seconds(1200))
        #expect(!node.flappingEvents.isEmpty)
        node.state.remove(podUID: "uid-a")
        #expect(node.state.flaps.keys.isEmpty)
        #expect(node.state.flapEvents.isEmpty)
        let events = node.events.count
        node.run(for: .seconds(3600))
        #expect(node.events.count == events)
    }

    /// Traffic must not go to a pod whose volume cannot be used.
    @Test func `a readiness condition follows each response`() {
        var node = Self.node(configuration: .init(writesReadiness: true))
        node.run(for: .seconds(1800))
        #expect(node.conditions.count >= 28)
    }

    @Test func `the text names the volume and says what is reported`() {
        let volume = NodeVolume(
            key: NodeVolumeKey(podUID: "u", volume: "pv", isInline: false),
            namespace: "default",
            podName: "a",
            driver: driverName,
            volumeHandle: "h",
            names: ["www"],
            claimName: "data"
        )
        let flapping = FlappingState(changes: 7, since: .zero, state: .clear)
        let text = volume.message(for: flapping, since: "2026-01-01T00:00:00Z")
        #expect(text.hasPrefix("Volume www (claim data): The volume's health has changed 7 times since 2026-01-01T00:"))
        #expect(text.hasSuffix("Now: healthy"))
    }
}
