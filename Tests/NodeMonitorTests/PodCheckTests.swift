// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthMonitorTestKit
import KubernetesAPI
import NodeCore
import NodeMonitor
import Testing

/// Pods whose volumes are not mounted, although the status that the agent has seen says so.
@Suite(.timeLimit(.minutes(50))) struct PodCheckTests {
    private static let volume = VolumeFixture(number: 0)

    /// Fault 2 of external-health-monitor's agent, where the watch is behind.
    @Test func `a volume is not reported abnormal when its pod has ended`() async throws {
        try await NodeScene.run { scene in
            try scene.createPod()
            try scene.createPod("other", VolumeFixture(number: 1))
        } _: { scene, _ in
            for handle in [Self.volume.handle, "volume-1"] { try await scene.advance(untilProbed: handle, 2) }
            await scene.holdWatch()
            var pod = PodFixture(name: "my-csi-app", nodeName: NodeScene.node, claimNames: ["csi-pvc"])
            try pod.end(in: scene.server)
            scene.set("The volume isn't mounted", ofVolume: Self.volume.handle)
            try await scene.advance { !scene.requests(for: "pods", .list).isEmpty }
            scene.set("gone", ofVolume: "volume-1")
            try await scene.advance(untilEvents: 1)
            try await scene.advance(untilProbedAgain: Self.volume.handle, 2)
            #expect(try scene.events().map { $0["involvedObject", "name"] } == ["other"])
        }
    }

    @Test(.tags(.rule10))
    func `a condition that ends while its pod cannot be read has no event, nor its end`() async throws {
        try await NodeScene.run { scene in
            try scene.createPod()
            try scene.createPod("other", VolumeFixture(number: 1))
        } _: { scene, _ in
            for handle in [Self.volume.handle, "volume-1"] { try await scene.advance(untilProbed: handle, 2) }
            scene.server.intercept { request in
                request.verb == .list && request.resource == "pods"
                    ? .fail(StatusError(code: 500, reason: "InternalError", message: "etcd is slow")) : nil
            }
            scene.set("The volume isn't mounted", ofVolume: Self.volume.handle)
            try await scene.advance { !scene.requests(for: "pods", .list).isEmpty }
            scene.set(nil, ofVolume: Self.volume.handle)
            try await scene.advance(untilProbedAgain: Self.volume.handle, 2)
            scene.server.intercept(nil)
            scene.set("gone", ofVolume: "volume-1")
            try await scene.advance(untilEvents: 1)
            try await scene.advance(untilProbedAgain: Self.volume.handle, 2)
            #expect(try scene.events().map { $0["involvedObject", "name"] } == ["other"])
        }
    }

    /// After an outage of the API server, the kubelet writes the ends of pods later than the watch is open.
    @Test func `a condition waits until the watch that has failed has been open for a while`() async throws {
        try await NodeScene.set { scene in
            try scene.createPod()
            try await scene.monitor {
                $0.reportDelay = .seconds(15)
            } _: { monitor in
                try await scene.advance(untilProbed: Self.volume.handle, 2)
                scene.server.intercept { request in
                    request.verb == .watch
                        ? .fail(StatusError(code: 503, reason: "ServiceUnavailable", message: "not ready")) : nil
                }
                for watch in scene.server.watches { watch.end() }
                try await scene.advance { monitor.status().watch.failure != nil }
                scene.set("gone", ofVolume: Self.volume.handle)
                try await scene.advance(untilProbedAgain: Self.volume.handle, 3)
                #expect(try scene.events().isEmpty)
                scene.server.intercept(nil)
                // The clock stands still.
                while monitor.status().watch.failure != nil { try await cancellablePollingPause() }
                let opened = scene.clock.now
                try await scene.advance(untilEvents: 1)
                #expect(opened.duration(to: scene.clock.now) >= .seconds(15))
            }
        }
    }

    @Test func `a pod with a status from before the node booted is not probed before its volumes can be mounted again`()
        async throws
    {
        try await NodeScene.set { scene in
            try scene.createPod()
            // The pod's status is older than the boot.
            let boot = Time.now().seconds + 3600
            try await scene.monitor {
                $0.bootTime = boot
            } _: { monitor in
                try await scene.advance { monitor.snapshot().pods == 1 }
                scene.clock.advance(by: .seconds(880) - scene.clock.now.offset)
                try await scene.advance { scene.clock.now.offset >= .seconds(899) }
                #expect(scene.probes(of: Self.volume.handle).isEmpty)
                try await scene.advance(untilProbed: Self.volume.handle, 1)
                #expect(scene.clock.now.offset >= .seconds(900))
            }
        }
    }
}
