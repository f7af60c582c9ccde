// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import KubernetesAPI
import KubernetesClient
import VolumeHealth

extension HealthMonitor {
    /// Keeps the index's volumes as the cluster's are. Of a volume only what the index needs is kept.
    func watchVolumes(into state: MonitorState) async throws {
        for try await event in watcher(of: PersistentVolume.self) {
            state.withReconciler { reconciler in
                switch event {
                case .restarted: reconciler.index.beginVolumeRelist()
                case .listed(let volume), .applied(let volume): apply(volume, to: &reconciler.index)
                case .synced: reconciler.index.endVolumeRelist()
                case .deleted(let volume): reconciler.index.removeVolume(named: volume.metadata.name)
                }
            }
            if case .synced = event { state.didSync(.volumes) }
        }
    }

    /// Keeps the index's claims as the cluster's are.
    func watchClaims(into state: MonitorState) async throws {
        for try await event in watcher(of: PersistentVolumeClaim.self) {
            state.withReconciler { reconciler in
                switch event {
                case .restarted: reconciler.index.beginClaimRelist()
                case .listed(let claim), .applied(let claim):
                    reconciler.index.apply(Claim(claim.metadata), volumeName: claim.spec.volumeName)
                case .synced: reconciler.index.endClaimRelist()
                case .deleted(let claim): reconciler.index.removeClaim(Claim(claim.metadata).key)
                }
            }
            if case .synced = event { state.didSync(.claims) }
        }
    }

    private func watcher<Object: KubernetesObject>(of type: Object.Type) -> Watcher<Object> {
        Watcher(client: kubernetes, logger: logger)
    }

    private func apply(_ volume: PersistentVolume, to index: inout ClaimIndex) {
        let csi = volume.spec.persistentVolumeSource.csi
        guard csi.driver == configuration.driverName, !csi.volumeHandle.isEmpty else {
            index.removeVolume(named: volume.metadata.name)
            return
        }
        index.apply(ClaimIndex.Volume(volume, handle: csi.volumeHandle))
    }
}

extension ClaimIndex.Volume {
    init(_ volume: PersistentVolume, handle: String) {
        let reference = volume.spec.claimRef
        self.init(
            name: volume.metadata.name,
            handle: handle,
            claim: volume.spec.hasClaimRef ? ClaimKey(namespace: reference.namespace, name: reference.name) : nil,
            claimUID: reference.uid,
            isBound: volume.status.phase == "Bound"
        )
    }
}

extension Claim {
    init(_ metadata: ObjectMeta) {
        self.init(
            key: ClaimKey(namespace: metadata.namespace, name: metadata.name),
            uid: metadata.uid,
            resourceVersion: metadata.resourceVersion
        )
    }
}
