// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthCore
import Testing

@testable import VolumeStatus

/// What the status of pods says of their claims: `status.volumeHealth` of the kubelet, and the agent's condition.
@Suite struct PodStatusTests {
    private static let gone = HealthyCondition(
        type: "d.example/volumes-healthy",
        status: "False",
        reason: "Gone",
        message: "Volume data-0 (claim a): Inaccessible (Gone): x",
        transition: 9300
    )

    @Test func `a pod condition that is False counts where there is no event`() throws {
        var scene = Scene()
        scene.claim("a")
        scene.pod("web", claims: ["a"], node: "node-7") { $0.conditions = [Self.gone] }
        let row = try #require(scene.row("a"))
        #expect((row.status, row.reason, row.since, row.source) == (.inaccessible, "Gone", 9300, .podCondition))
    }

    /// Kubernetes 1.37 with the feature gate CSIVolumeHealth; generated.proto of k8s.io/api/core/v1: PodStatus.volumeHealth
    /// is 22, and of PodVolumeHealth name is 1, healthConditions 2, lastTransitionTime 3.
    @Test func `what the kubelet writes to the pod's status counts`() throws {
        func message(_ field: Int, _ bytes: [UInt8]) -> [UInt8] {
            let tag = field << 3 | 2
            return (tag < 128 ? [UInt8(tag)] : [UInt8(tag & 127) | 128, UInt8(tag >> 7)]) + [UInt8(bytes.count)] + bytes
        }
        func text(_ field: Int, _ text: String) -> [UInt8] { message(field, Array(text.utf8)) }
        func health(_ volume: String, _ status: String) -> [UInt8] {
            let condition = text(1, status) + text(2, "MountLost") + text(3, "no mount")
            return message(22, text(1, volume) + message(2, condition) + message(3, [8, 0xA8, 0x46]))
        }
        let bytes = message(3, health("data-0", "Inaccessible") + health("data-1", "New"))
        let pod = try ListedPod(reading: bytes.span)
        #expect(pod.volumeHealth.map(\.volume) == ["data-0", "data-1"])
        #expect(pod.volumeHealth.map(\.hasUnknownCondition) == [false, true])

        var scene = Scene()
        for claim in ["a", "b"] { scene.claim(claim) }
        scene.pod("web", claims: ["a", "b"], node: "node-7") { $0.volumeHealth = pod.volumeHealth }
        let row = try #require(scene.row("a"))
        #expect((row.status, row.reason, row.since, row.source) == (.inaccessible, "MountLost", 9000, .podVolumeHealth))
        #expect(row.message == "no mount")
        #expect(row.nodes == ["node-7"])
        #expect(scene.row("b")?.status == .healthy)
        // But not called healthy.
        #expect(scene.summary().warnings.contains { $0.hasPrefix("1 claim has a condition of a type that") })
    }

    /// While another volume has the same reason, the agent does not write the condition again.
    @Test func `a pod condition says nothing of a volume that has recovered since`() {
        var scene = Scene()
        scene.claim("a")
        scene.pod("web", claims: ["a", "b"]) { $0.conditions = [Self.gone] }
        for (time, status) in [(Int64(9200), VolumeHealthRow.Status.inaccessible), (9400, .healthy)] {
            scene.event(
                "VolumeConditionNormal",
                on: "web",
                kind: "Pod",
                message: "Volume data-0 (claim a): The Volume returns to the healthy state",
                component: "csi-pv-monitor-agent-d.example",
                first: time
            )
            #expect(scene.row("a")?.status == status)
        }
    }
}
