// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthMonitorTestKit
import NodeMonitor
import Testing

/// The condition DRIVER/volumes-healthy of pods that name it in their readiness gates.
@Suite(.timeLimit(.minutes(50))) struct ReadinessTests {
    static let volume = VolumeFixture(number: 0)
    static let type = "hostpath.csi.k8s.io/volumes-healthy"

    /// A pod with the gate, and one without.
    private static func prepare(_ scene: NodeScene) throws {
        try volume.create(in: scene.server)
        scene.set(nil, ofVolume: volume.handle)
        var pod = PodFixture(name: "my-csi-app", nodeName: NodeScene.node, claimNames: ["csi-pvc"])
        pod.readinessGates = [type]
        try pod.create(in: scene.server)
        try scene.createPod("without-gate", VolumeFixture(number: 1))
    }

    private static func condition(_ scene: NodeScene) throws -> JSONValue? {
        let pod = try scene.server.object(kind: "Pod", namespace: "default", name: "my-csi-app")
        return pod?["status", "conditions"]?.array?.first { $0["type"] == .string(type) }
    }

    @Test func `the condition follows the health of the volumes`() async throws {
        try await NodeScene.run(.healthNode) {
            $0.writesReadinessCondition = true
        } prepare: {
            try Self.prepare($0)
        } _: { scene, _ in
            try await scene.advance { try Self.condition(scene)?["status"] == "True" }
            let before = try scene.server.object(kind: "Pod", namespace: "default", name: "my-csi-app")
            #expect(try Self.condition(scene)?["reason"] == "VolumesHealthy")

            scene.set("gone", ofVolume: Self.volume.handle)
            scene.set("gone", ofVolume: "volume-1")
            try await scene.advance { try Self.condition(scene)?["status"] == "False" }
            #expect(try Self.condition(scene)?["reason"] == "MountLost")
            #expect(
                try Self.condition(scene)?["message"] == "Volume data-0 (claim csi-pvc): Inaccessible (MountLost): gone"
            )

            scene.set(nil, ofVolume: Self.volume.handle)
            try await scene.advance { try Self.condition(scene)?["status"] == "True" }
            try await scene.advance(untilProbedAgain: "volume-1", 3)
            // Three transitions, all on this pod; the conditions of the kubelet are as they were. A watch that shows an
            // earlier write only after a later one leads to the same write again.
            let writes = scene.requests(for: "pods/status")
            #expect(writes.allSatisfy { $0.name == "my-csi-app" })
            let statuses = writes.map { $0.body?["status", "conditions"]?.array?.first?["status"] }
            let transitions = statuses.enumerated().filter { $0 == 0 || statuses[$0 - 1] != $1 }.map(\.element)
            #expect(transitions == ["True", "False", "True"])
            #expect(writes.allSatisfy { $0.contentType == "application/strategic-merge-patch+json" })
            let after = try scene.server.object(kind: "Pod", namespace: "default", name: "my-csi-app")
            func others(_ pod: JSONValue?) -> [JSONValue] {
                (pod?["status", "conditions"]?.array ?? []).filter { $0["type"] != .string(Self.type) }
            }
            #expect(others(after) == others(before))
            #expect(others(after).count == 5)
        }
    }

    @Test func `without the flag no condition is written`() async throws {
        try await NodeScene.run(.healthNode) {
            try Self.prepare($0)
            $0.set("gone", ofVolume: Self.volume.handle)
        } _: { scene, _ in
            try await scene.advance(untilEvents: 1)
            try await scene.advance(untilProbedAgain: Self.volume.handle, 2)
            #expect(scene.requests(for: "pods/status").isEmpty)
        }
    }

    @Test func `a condition that is right is not written again after a restart`() async throws {
        try await NodeScene.set(.healthNode) { scene in
            try Self.prepare(scene)
            try await scene.monitor {
                $0.writesReadinessCondition = true
            } _: { _ in
                try await scene.advance { try Self.condition(scene)?["status"] == "True" }
            }
            try await scene.monitor {
                $0.writesReadinessCondition = true
            } _: { _ in
                try await scene.advance(untilProbedAgain: Self.volume.handle, 4)
            }
            #expect(scene.requests(for: "pods/status").count == 1)
        }
    }

    @Test(.tags(.rule10)) func `a condition for a pod that was replaced is dropped`() async throws {
        try await NodeScene.run(.healthNode) {
            $0.writesReadinessCondition = true
        } prepare: {
            try Self.prepare($0)
        } _: { scene, _ in
            try await scene.advance { try Self.condition(scene)?["status"] == "True" }
            await scene.holdWatch()
            var pod = PodFixture(name: "my-csi-app", nodeName: NodeScene.node, claimNames: ["csi-pvc"])
            pod.readinessGates = [Self.type]
            try pod.replace(in: scene.server)
            scene.set("gone", ofVolume: Self.volume.handle)
            try await scene.advance { scene.requests(for: "pods/status").count >= 2 }
            try await scene.advance(untilProbedAgain: Self.volume.handle, 2)
            #expect(try Self.condition(scene) == nil)
            let writes = scene.server.journal.records.filter { $0.request.subresource == "status" }
            // At most one attempt for each response of the driver.
            #expect(writes.count <= scene.probes(of: Self.volume.handle).count)
            #expect(writes.dropFirst().allSatisfy { $0.code == 422 })
        }
    }
}
