// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import GRPCTransport
import HealthMonitorTestKit
import InMemoryLogging
import Logging
import NodeCore
import NodeMonitor
import Testing

/// Volumes that the driver does not find (rule 5).
@Suite(.timeLimit(.minutes(50))) struct MissingVolumeTests {
    static let volume = VolumeFixture(number: 0)

    private static let notFound: SimulatedDriver.Interceptor = { call in
        call.volumeID == volume.handle ? .fail(.notFound, "volume id \(call.volumeID) does not exist") : nil
    }

    @Test(.tags(.rule5))
    func `a volume that was found before is reported missing after a look at its pod`() async throws {
        try await NodeScene.run { scene in
            try scene.createPod()
        } _: { scene, _ in
            try await scene.advance(untilProbed: Self.volume.handle, 2)
            scene.driver.intercept(Self.notFound)
            try await scene.advance(untilEvents: 1)
            #expect(
                try scene.events().map { $0["message"] } == [
                    .string(
                        """
                        Volume data-0 (claim csi-pvc): Inaccessible (VolumeNotFound): The CSI driver does not find the \
                        volume \(Self.volume.handle)
                        """
                    )
                ]
            )
            let look = try #require(scene.requests(for: "pods", .list).first)
            #expect(look.namespace == "default")
            #expect(look.query["fieldSelector"] == "metadata.name=my-csi-app")
        }
    }

    @Test(.tags(.rule5)) func `a volume is not reported missing when its pod is being deleted`() async throws {
        try await NodeScene.run { scene in
            try scene.createPod()
            try scene.createPod("other", VolumeFixture(number: 1))
        } _: { scene, _ in
            for handle in [Self.volume.handle, "volume-1"] { try await scene.advance(untilProbed: handle, 2) }
            await scene.holdWatch()
            let pod = PodFixture(name: "my-csi-app", nodeName: NodeScene.node, claimNames: ["csi-pvc"])
            try pod.terminate(in: scene.server)
            scene.driver.intercept(Self.notFound)
            try await scene.advance { !scene.requests(for: "pods", .list).isEmpty }
            scene.set("gone", ofVolume: "volume-1")
            try await scene.advance(untilEvents: 1)
            try await scene.advance(untilProbedAgain: Self.volume.handle, 2)
            #expect(try scene.events().map { $0["involvedObject", "name"] } == ["other"])
        }
    }

    @Test(.tags(.rule5)) func `a wrong kubelet root directory reports no volume and names the flag`() async throws {
        try await NodeScene.run { scene in
            for number in 0..<3 { try scene.createPod("app-\(number)", VolumeFixture(number: number)) }
            scene.driver.intercept { $0.volumeID.isEmpty ? nil : .fail(.notFound, "no such path") }
        } _: { scene, monitor in
            for number in 0..<3 { try await scene.advance(untilProbed: VolumeFixture(number: number).handle, 4) }
            #expect(try scene.events().isEmpty)
            #expect(monitor.status().drivers.first?.problem?.contains("--kubelet-root-path") == true)
            let errors = scene.log.entries.filter { $0.level == .error }
            #expect(errors.map(\.message) == ["Found a problem of the driver"])
        }
    }

    /// The API server's cache may lag behind: it shows an earlier claim of that name, with its volume, which is not
    /// mounted in the pod.
    @Test(.tags(.rule11)) func `a claim whose volume was never found is read again, not from the cache`() async throws {
        var present = Self.volume
        (present.volumeName, present.handle) = ("pv-present", "volume-present")
        let volume = present
        try await NodeScene.run { scene in
            try scene.createPod()
            scene.set(nil, ofVolume: volume.handle)
            scene.driver.intercept(Self.notFound)
            scene.server.intercept { [server = scene.server] request in
                let isLatest = request.resource == "persistentvolumeclaims" && request.query["resourceVersion"] == nil
                guard isLatest, (try? server.object(kind: "PersistentVolume", name: volume.volumeName)) == nil else {
                    return nil
                }
                try? Self.volume.delete(in: server)
                _ = try? volume.create(in: server)
                return nil
            }
        } _: { scene, monitor in
            try await scene.advance(untilProbed: volume.handle, 2)
            for resource in ["persistentvolumeclaims", "persistentvolumes"] {
                #expect(scene.requests(for: resource).map(\.query) == [["resourceVersion": "0"], [:]])
            }
            #expect(monitor.snapshot().drivers.map(\.counts.healthy) == [1])
            #expect(try scene.events().isEmpty)
        }
    }
}
