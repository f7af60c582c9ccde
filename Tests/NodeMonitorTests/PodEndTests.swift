// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthMonitorTestKit
import NodeCore
import NodeMonitor
import Testing

/// A pod that ends by itself, in the kubelet's order, with the delay of a new process.
@Suite(.timeLimit(.minutes(50))) struct PodEndTests {
    private static let volume = VolumeFixture(number: 0)
    private static let other = VolumeFixture(number: 1)

    /// Fault 2 of external-health-monitor's agent, where the API server is behind.
    @Test
    func `fault 2, a pod whose volume is unmounted before the API server has its end has no event`() async throws {
        try await NodeScene.run {
            $0.reportDelay = NodeMonitorConfiguration(nodeName: "", drivers: $0.drivers).reportDelay
            $0.monitorInterval = .seconds(2)
        } prepare: { scene in
            try scene.createPod()
            try scene.createPod("other", Self.other)
            scene.set("gone", ofVolume: Self.other.handle)
        } _: { scene, monitor in
            let isSeen = { monitor.snapshot().unhealthy.contains { $0.volume.podName == "my-csi-app" } }
            try await scene.advance(untilEvents: 1)
            scene.set("The volume isn't mounted", ofVolume: Self.volume.handle)
            try await scene.advance(until: isSeen)

            // The longest time that a kubelet took. A recovery is reported meanwhile: reports do not wait for one another.
            scene.set(nil, ofVolume: Self.other.handle)
            for _ in 0..<9 {
                await scene.clock.sleeper(ofAtLeast: .nanoseconds(1), atMost: .seconds(86_400))
                scene.clock.advance(by: .seconds(1))
                await pollingPause()
            }
            while try scene.events().count < 2 { try await cancellablePollingPause() }

            var pod = PodFixture(name: "my-csi-app", nodeName: NodeScene.node, claimNames: [Self.volume.claimName])
            try pod.end(in: scene.server)
            while isSeen() { try await cancellablePollingPause() }
            scene.set("gone", ofVolume: Self.other.handle)
            try await scene.advance { try scene.events().contains { $0["count"] == 2 } }
            #expect(try scene.events().map { $0["involvedObject", "name"] } == ["other", "other"])
        }
    }
}
