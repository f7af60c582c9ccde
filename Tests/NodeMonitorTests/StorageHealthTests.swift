// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthMonitorTestKit
import NodeCore
import NodeMonitor
import Testing

/// The way of the node to the storage of a driver.
@Suite(.timeLimit(.minutes(50))) struct StorageHealthTests {
    private static let unreachable = SimulatedVolume.HealthEntry(status: 2, reason: "NoRoute", message: "no path left")

    @Test func `unhealthy storage is an event on the Node, and its recovery another`() async throws {
        try await NodeScene.run(.healthNode) {
            $0.recordsNodeEvents = true
        } prepare: { scene in
            scene.driver.configuration.storageHealth = [Self.unreachable]
        } _: { scene, monitor in
            try await scene.advance(untilEvents: 1)
            let event = try #require(try scene.events().first)
            #expect(event["type"] == "Warning")
            #expect(event["reason"] == "StorageConditionAbnormal")
            #expect(
                event["message"] == "Storage of hostpath.csi.k8s.io: StorageUnreachable (NoRoute): no path left"
            )
            #expect(event["involvedObject"] == ["kind": "Node", "apiVersion": "v1", "name": "node-1", "uid": "node-1"])
            #expect(event["metadata", "namespace"] == "default")
            #expect(monitor.snapshot().drivers.first?.storage?.conditions.map(\.reason) == ["NoRoute"])
            scene.driver.configuration.storageHealth = []
            try await scene.advance(untilEvents: 2)
            #expect(try scene.events().map { $0["reason"] } == ["StorageConditionAbnormal", "StorageConditionNormal"])
        }
    }

    @Test func `without the flag unhealthy storage is only in the snapshot`() async throws {
        try await NodeScene.run(.healthNode) { scene in
            scene.driver.configuration.storageHealth = [Self.unreachable]
        } _: { scene, monitor in
            try await scene.advance { monitor.snapshot().drivers.first?.storage?.isClear == false }
            try await scene.advance { scene.driver.journal.calls("NodeGetStorageHealth").count >= 3 }
            #expect(try scene.events().isEmpty)
        }
    }

    @Test func `a driver without the capability is not called for its storage`() async throws {
        try await NodeScene.run(.legacyNode) { scene in
            try scene.createPod()
        } _: { scene, _ in
            try await scene.advance(untilProbed: VolumeFixture(number: 0).handle, 3)
            #expect(scene.driver.journal.calls("NodeGetStorageHealth").isEmpty)
        }
    }
}
