// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthCore
import Testing

@testable import NodeCore

/// A volume that turns unhealthy is reported after a delay. Seen on a kubelet 1.36.2: of 120 pods that ended by
/// themselves, the volumes of 33 were unmounted before the API server had the pod's end, by up to five seconds, and two
/// had an event.
struct ReportDelayTests {
    /// A node with a pod whose volume is unhealthy from the first probe after a minute until that time.
    static func node(unhealthyUntil end: Duration = .seconds(1_000_000)) -> Simulation {
        var node = Simulation(.init(interval: .seconds(2), reportDelay: .seconds(10)))
        node.respond = { _, now in
            (now >= .seconds(60) && now < end ? .unhealthy(.inaccessible) : .healthy, .milliseconds(5))
        }
        node.list()
        node.apply(.named("a"))
        node.run(for: .seconds(60))
        return node
    }

    @Test func `an unhealthy volume is reported after the delay, its recovery at once`() throws {
        var node = Self.node(unhealthyUntil: .seconds(100))
        node.run(for: .seconds(60))
        #expect(node.transitions(pod: "a") == [[.inaccessible], []])
        let turned = try #require(node.calls.first { $0.began >= .seconds(60) })
        #expect(node.events.first?.time == turned.ends + .seconds(10))
        let recovered = try #require(node.calls.first { $0.began >= .seconds(100) })
        #expect(node.events.last?.time == recovered.ends)
    }

    @Test func `a pod that ends within the delay has no event`() {
        var node = Self.node()
        node.run(for: .seconds(9))
        node.state.remove(podUID: "uid-a")
        node.run(for: .seconds(600))
        #expect(node.events.isEmpty)
        #expect(node.state.newConditions.keys.isEmpty)
    }

    @Test func `a volume that is healthy again within the delay has no event`() {
        var node = Self.node(unhealthyUntil: .seconds(66))
        node.run(for: .seconds(600))
        #expect(node.events.isEmpty)
        #expect(node.state.newConditions.keys.isEmpty)
    }

    /// With a short interval, none of its conditions lasts as long as the delay.
    @Test func `a volume that alternates within the delay is flapping`() {
        var node = Self.node()
        node.respond = { _, now in
            (Int(now / .seconds(4)).isMultiple(of: 2) ? .healthy : .unhealthy(.inaccessible), .zero)
        }
        node.run(for: .seconds(120))
        #expect(node.flappingEvents.count == 1)
        #expect(node.flappingEvents.first.map { $0.state.changes > 6 } == true)
        node.state.remove(podUID: "uid-a")
        node.run(for: .seconds(1))
        #expect(node.state.flaps.keys.isEmpty)
    }

    @Test func `the latest conditions are reported, and later changes at once`() throws {
        var node = Self.node()
        let other = VolumeHealthCondition(status: .degraded, reason: "Slow", message: "")
        node.respond = { _, now in
            (.unhealthy(now < .seconds(65) || now >= .seconds(100) ? .inaccessible : other), .milliseconds(5))
        }
        node.run(for: .seconds(60))
        #expect(node.transitions(pod: "a") == [[other], [.inaccessible]])
        let changed = try #require(node.calls.first { $0.began >= .seconds(100) })
        #expect(node.events.last?.time == changed.ends)
    }
}
