// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Testing

@testable import HealthCore
@testable import NodeCore

struct OutageTests {
    static func node(_ count: Int) -> Simulation {
        var node = Simulation()
        node.list()
        for number in 0..<count { node.apply(.named("p\(number)", claims: ["c\(number)"])) }
        node.run(for: .seconds(120))
        return node
    }

    @Test(.tags(.rule10, .rule12)) func `a node whose volumes are healthy writes nothing`() {
        var node = Self.node(110)
        node.run(for: .seconds(3600))
        #expect(node.events.isEmpty && node.unknownEvents.isEmpty && node.conditions.isEmpty)
        #expect(node.lookups.count == 110)
        #expect(node.readbacks.isEmpty)
    }

    @Test(.tags(.rule10)) func `100 volumes that become unhealthy at once are reported once each`() {
        var node = Self.node(100)
        node.respond = { _, _ in (.unhealthy(.inaccessible), .milliseconds(5)) }
        node.run(for: .seconds(180))
        #expect(node.events.count == 100)
        #expect(Set(node.events.map(\.report.key)).count == 100)
        node.respond = { _, _ in (.healthy, .milliseconds(5)) }
        node.run(for: .seconds(180))
        #expect(node.events.count == 200)
        #expect(node.state.events.backlog.depth == 0)
    }

    @Test func `many events that are due at once wait for one random delay`() throws {
        var firsts: Set<Duration> = []
        for seed in 0..<20 {
            var state = Self.state(events: 6, seed: UInt64(seed))
            guard case .wait(let until?) = state.nextEvent(at: .seconds(1)) else {
                Issue.record("not held")
                return
            }
            #expect(until > .seconds(1) && until <= .seconds(61))
            firsts.insert(until)
            #expect(state.nextEvent(at: .seconds(1)) == .wait(until: until))
            for _ in 0..<6 {
                let report = try #require(state.nextEvent(at: until).job)
                state.complete(event: report, .reported, at: until)
            }
        }
        #expect(firsts.count == 20)
    }

    @Test func `events that have waited for long are no outage`() {
        var state = Self.state(events: 6, seed: 1)
        #expect(state.nextEvent(at: .seconds(61)).job != nil)
    }

    @Test func `few events do not wait`() throws {
        var state = Self.state(events: 5, seed: 1)
        for _ in 0..<5 {
            let report = try #require(state.nextEvent(at: .seconds(1)).job)
            state.complete(event: report, .reported, at: .seconds(1))
        }
    }

    @Test(.tags(.rule10)) func `a namespace in which events are refused does not delay the others`() {
        var node = Simulation()
        node.list()
        node.record = {
            $0.target.namespace == "closed" ? .failed(RequestFailure(isForbidden: true)) : .reported
        }
        node.respond = { _, _ in (.unhealthy(.inaccessible), .milliseconds(5)) }
        for number in 0..<20 {
            node.apply(NodePod.named("c\(number)", claims: ["c\(number)"]).with { $0.namespace = "closed" })
        }
        node.run(for: .seconds(1200))
        #expect(node.events.isEmpty)
        node.apply(.named("a"))
        node.run(for: .seconds(11))
        #expect(node.transitions(pod: "a") == [[.inaccessible]])
    }

    /// A state in which so many events are due.
    private static func state(events: Int, seed: UInt64) -> NodeHealthState {
        var state = NodeHealthState(seed: seed)
        state.endRelist(at: .zero)
        for number in 0..<events {
            let pod = NodePod.named("p\(number)").with {
                $0.volumes = [PodVolume(name: "data", source: .inline(driver: driverName))]
            }
            state.apply(pod, at: .zero)
            let key = NodeVolumeKey(podUID: pod.uid, volume: "data", isInline: true)
            state.setHealth(VolumeState([.inaccessible]), of: key, at: .zero)
        }
        return state
    }
}
