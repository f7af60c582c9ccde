// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthMonitorTestKit
import InMemoryLogging
import Logging
import Testing

/// The kinds of volumes that a pod can have of a CSI driver.
@Suite(.timeLimit(.minutes(50))) struct VolumeKindTests {
    static let volume = VolumeFixture(number: 0)

    @Test func `an inline volume is probed and reported without a claim`() async throws {
        // The worked example of a handle needs a fixed uid: sha256sum of uid and name.
        let handle = "csi-f19b10fafb21458cec061b806a422991c58da6942018a6ea92f43354fd817947"
        try await NodeScene.run { scene in
            scene.set("gone", ofVolume: handle)
            var pod = PodFixture(
                name: "my-csi-app",
                nodeName: NodeScene.node,
                volumes: [.init(name: "scratch", source: .inline(driver: NodeScene.driverName))]
            )
            pod.uid = "0ed3b369-d5a6-4b99-b489-1bb651710c60"
            try pod.create(in: scene.server)
        } _: { scene, _ in
            try await scene.advance(untilEvents: 1)
            #expect(try scene.events().first?["message"] == "Volume scratch: gone")
            #expect(
                scene.probes(of: handle).first?.volumePath == """
                    /var/lib/kubelet/pods/0ed3b369-d5a6-4b99-b489-1bb651710c60/volumes/kubernetes.io~csi/scratch/mount
                    """
            )
            #expect(scene.requests(for: "persistentvolumeclaims").isEmpty)
        }
    }

    @Test func `a generic ephemeral volume is probed if its claim belongs to the pod`() async throws {
        let foreign = VolumeFixture(claimName: "foreign-cache", volumeName: "pv-foreign", handle: "handle-foreign")
        try await NodeScene.run { scene in
            for name in ["own", "foreign"] {
                let pod = PodFixture(
                    name: name,
                    nodeName: NodeScene.node,
                    volumes: [.init(name: "cache", source: .genericEphemeral)]
                )
                let uid = try pod.create(in: scene.server)
                guard name == "own" else { continue }
                var own = VolumeFixture(claimName: "own-cache", volumeName: "pv-own", handle: "handle-own")
                own.owner = .init(podName: name, podUID: uid)
                try own.create(in: scene.server)
            }
            try foreign.create(in: scene.server)
            scene.set("gone", ofVolume: "handle-own")
            scene.set("gone", ofVolume: "handle-foreign")
        } _: { scene, _ in
            try await scene.advance(untilEvents: 1)
            try await scene.advance(untilProbedAgain: "handle-own", 2)
            #expect(try scene.events().map { $0["message"] } == ["Volume cache (claim own-cache): gone"])
            #expect(scene.probes(of: "handle-foreign").isEmpty)
            let warnings = scene.log.entries.filter { $0.level == .warning }
            #expect(warnings.map(\.message) == ["Claim has no volume yet, retrying"])
            let reason = "the claim foreign-cache exists and does not belong to the pod"
            #expect(warnings.map { $0.metadata["reason"] } == [.string(reason)])
        }
    }

    @Test func `a block volume is probed at its publish path`() async throws {
        var block = Self.volume
        block.volumeMode = "Block"
        let volume = block
        try await NodeScene.run { scene in
            try volume.create(in: scene.server)
            scene.set(nil, ofVolume: volume.handle)
            let device = PodFixture.Volume(name: "disk", source: .claim(volume.claimName), use: .device)
            var pod = PodFixture(name: "my-csi-app", nodeName: NodeScene.node, volumes: [device])
            pod.uid = "0ed3b369-d5a6-4b99-b489-1bb651710c60"
            try pod.create(in: scene.server)
        } _: { scene, _ in
            try await scene.advance(untilProbed: volume.handle, 1)
            #expect(
                scene.probes(of: volume.handle).first?.volumePath == """
                    /var/lib/kubelet/plugins/kubernetes.io/csi/volumeDevices/publish/\(volume.volumeName)/\
                    0ed3b369-d5a6-4b99-b489-1bb651710c60
                    """
            )
        }
    }

    @Test func `two pods on one volume are probed and reported each`() async throws {
        try await NodeScene.run { scene in
            let first = try scene.createPod("app-a", Self.volume)
            try PodFixture(name: "app-b", nodeName: NodeScene.node, claimNames: ["csi-pvc"]).create(in: scene.server)
            // Only the mount of the first pod is gone.
            let path = NodeMonitorTests.publishPath.replacing("POD", with: first)
            scene.driver.respond(.nodeCondition(.abnormal("The volume isn't mounted")), atPath: path)
        } _: { scene, _ in
            try await scene.advance(untilEvents: 1)
            try await scene.advance { Set(scene.probes(of: Self.volume.handle).map(\.volumePath)).count == 2 }
            try await scene.advance(untilProbedAgain: Self.volume.handle, 4)
            #expect(try scene.events().map { $0["involvedObject", "name"] } == ["app-a"])
            // The claim was read once for both.
            #expect(scene.requests(for: "persistentvolumeclaims").count == 1)
        }
    }

    @Test func `one claim under two names is one mount, reported under both`() async throws {
        try await NodeScene.run { scene in
            try Self.volume.create(in: scene.server)
            scene.set("gone", ofVolume: Self.volume.handle)
            try PodFixture(name: "my-csi-app", nodeName: NodeScene.node, claimNames: ["csi-pvc", "csi-pvc"])
                .create(in: scene.server)
        } _: { scene, _ in
            try await scene.advance(untilEvents: 1)
            try await scene.advance(untilProbedAgain: Self.volume.handle, 3)
            #expect(try scene.events().map { $0["message"] } == ["Volume data-0, data-1 (claim csi-pvc): gone"])
            #expect(Set(scene.probes(of: Self.volume.handle).map(\.volumePath)).count == 1)
        }
    }

    @Test func `a volume that no container uses is not probed`() async throws {
        try await NodeScene.run { scene in
            try Self.volume.create(in: scene.server)
            let unused = PodFixture.Volume(name: "data", source: .claim("csi-pvc"), use: .unused)
            try PodFixture(name: "my-csi-app", nodeName: NodeScene.node, volumes: [unused]).create(in: scene.server)
            try scene.createPod("other", VolumeFixture(number: 1))
        } _: { scene, _ in
            try await scene.advance(untilProbed: "volume-1", 3)
            #expect(scene.probes(of: Self.volume.handle).isEmpty)
            #expect(scene.requests(for: "persistentvolumeclaims").map(\.name) == ["csi-pvc-1"])
        }
    }

    @Test func `volumes of other drivers and pods of other nodes are not probed`() async throws {
        let other = VolumeFixture(number: 2, driverName: "other.csi.k8s.io")
        try await NodeScene.run { scene in
            try scene.createPod("other-driver", other)
            try Self.volume.create(in: scene.server)
            scene.set("gone", ofVolume: Self.volume.handle)
            try PodFixture(name: "elsewhere", nodeName: "node-2", claimNames: ["csi-pvc"]).create(in: scene.server)
            try scene.createPod("my-csi-app", VolumeFixture(number: 1))
        } _: { scene, _ in
            try await scene.advance(untilProbed: "volume-1", 3)
            #expect(scene.probes(of: Self.volume.handle).isEmpty)
            #expect(scene.probes(of: other.handle).isEmpty)
            #expect(try scene.events().isEmpty)
        }
    }
}
