// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Testing

@testable import HealthCore
@testable import NodeCore

/// What was reported survives a restart.
struct ReadbackTests {
    static let inaccessible = VolumeState([.inaccessible])

    /// A process that starts beside a running pod on which an earlier process reported the volume as inaccessible.
    static func node(
        _ outcomes: NodeProbeOutcome...,
        readBack: @escaping (NodeVolume) -> ReadbackResult = { _ in
            .reported(Self.inaccessible.fingerprint, reportedAt: .seconds(-60), since: .seconds(-600))
        }
    ) -> Simulation {
        var node = Simulation()
        var remaining = outcomes
        node.respond = { _, _ in (remaining.count > 1 ? remaining.removeFirst() : remaining[0], .milliseconds(5)) }
        node.readBack = readBack
        node.list(.named("a"))
        return node
    }

    @Test(.tags(.rule9)) func `a lasting condition is not reported again`() {
        var node = Self.node(.unhealthy(.inaccessible))
        node.run(for: .seconds(600))
        #expect(node.readbacks.map(\.names) == [["data"]])
        #expect(node.events.isEmpty)
        #expect(node.state.snapshot(at: node.now).unhealthy.map(\.since) == [.seconds(-600)])
        // It is refreshed half an hour after its last report.
        node.run(for: .seconds(1200))
        #expect(node.events.map(\.report.cause) == [.refresh])
    }

    /// After a restart of the node, a pod keeps its uid and has not started when the agent lists it.
    @Test(.tags(.rule9)) func `a recovery during a restart of the node is reported`() {
        var node = Simulation()
        node.respond = { _, _ in (.healthy, .milliseconds(5)) }
        node.readBack = { _ in
            .reported(Self.inaccessible.fingerprint, reportedAt: .seconds(-60), since: .seconds(-600))
        }
        let pod = NodePod.named("a")
        node.list(pod.with { $0.isStarted = false })
        node.run(for: .seconds(120))
        #expect(node.calls.isEmpty)
        node.apply(pod)
        node.run(for: .seconds(600))
        #expect(node.transitions(pod: "a") == [[]])
    }

    @Test(.tags(.rule9)) func `another condition is reported`() {
        var node = Self.node(.unhealthy(.degraded))
        node.run(for: .seconds(600))
        #expect(node.transitions(pod: "a") == [[.degraded]])
    }

    @Test(.tags(.rule9)) func `a recovery during the restart is reported after two healthy responses`() {
        var node = Self.node(.healthy)
        node.run(for: .seconds(60))
        #expect(node.calls.count == 1)
        #expect(node.events.isEmpty)
        node.run(for: .seconds(600))
        #expect(node.transitions(pod: "a") == [[]])
    }

    @Test(.tags(.rule9)) func `a driver that begins with healthy does not end what was reported`() {
        var node = Self.node(.healthy, .unhealthy(.inaccessible))
        node.run(for: .seconds(600))
        #expect(node.events.isEmpty)
    }

    @Test(.tags(.rule9)) func `nothing is reported before the events are read back`() {
        var node = Self.node(.unhealthy(.degraded)) { _ in .unreachable }
        node.run(for: .seconds(3600))
        #expect(node.events.isEmpty)
        #expect(node.readbacks.count > 100)
        node.readBack = { _ in .nothing }
        node.run(for: .seconds(15))
        #expect(node.transitions(pod: "a") == [[.degraded]])
    }

    @Test(.tags(.rule9)) func `the events of unhealthy volumes are read back first`() {
        var state = NodeHealthState(seed: 1)
        state.driverConnected(driverName, NodeCapabilities(strategy: .health), at: .zero)
        state.beginRelist()
        for number in 0..<20 {
            let volumes = [PodVolume(name: "data", source: .inline(driver: driverName))]
            state.apply(NodePod.named("p\(number)").with { $0.volumes = volumes }, at: .zero)
        }
        state.endRelist(at: .zero)
        var now = Duration.zero
        var probed: [NodeVolumeKey] = []
        while probed.count < 20 {
            switch state.nextProbe(of: driverName, at: now) {
            case .run(let probe):
                probed.append(probe.key)
                let isLast = probed.count == 20
                _ = state.complete(probe: probe, isLast ? .unhealthy(.inaccessible) : .healthy, at: now)
            case .wait(let due): now = due ?? now + .seconds(1)
            }
        }
        guard case .run(let volume) = state.nextReadback(at: now) else {
            Issue.record("nothing is read back")
            return
        }
        #expect(volume.key == probed.last)
    }

    @Test(.tags(.rule9), arguments: [(ReadbackResult.forbidden, 1), (.failed, 3)])
    func `events that cannot be read back do not stop reports`(result: ReadbackResult, attempts: Int) {
        var node = Self.node(.unhealthy(.degraded)) { _ in result }
        node.run(for: .seconds(600))
        #expect(node.readbacks.count == attempts)
        #expect(node.transitions(pod: "a") == [[.degraded]])
    }

    @Test(.tags(.rule9)) func `a pod that is created later needs no read back`() {
        var node = Simulation()
        node.respond = { _, _ in (.unhealthy(.degraded), .zero) }
        node.list()
        node.apply(.named("a", started: false))
        node.apply(.named("a"))
        node.apply(.named("b", claims: ["y"]))
        node.run(for: .seconds(600))
        #expect(node.readbacks.isEmpty)
        #expect(Set(node.events.map(\.pod)) == ["a", "b"])
    }

    @Test(.tags(.rule9)) func `a pod that goes during its read back is not reported`() {
        var node = Self.node(.unhealthy(.degraded)) { _ in .unreachable }
        node.run(for: .seconds(120))
        node.state.remove(podUID: "uid-a")
        let reads = node.readbacks.count
        node.run(for: .seconds(600))
        #expect(node.readbacks.count == reads)
        #expect(node.events.isEmpty)
    }
}
