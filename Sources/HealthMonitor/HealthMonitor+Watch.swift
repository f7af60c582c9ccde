// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

package import KubernetesAPI
import KubernetesClient
package import VolumeHealth

extension HealthMonitor {
    /// Keeps the core's volumes as the cluster's are. Of a volume only what the core needs is kept.
    func watchVolumes(into state: MonitorState) async throws {
        for try await event in watcher(of: PersistentVolume.self) {
            let received = now
            state.update { reconciler in
                switch event {
                case .restarted: reconciler.beginVolumeRelist()
                case .listed(let volume), .applied(let volume): apply(volume, to: &reconciler, at: received)
                case .synced: reconciler.endVolumeRelist(at: received)
                case .deleted(let volume): reconciler.removeVolume(named: volume.metadata.name, at: received)
                }
            }
            if case .synced = event { state.didSync(.volumes) }
        }
    }

    /// Keeps the core's claims as the cluster's are.
    func watchClaims(into state: MonitorState) async throws {
        for try await event in watcher(of: PersistentVolumeClaim.self) {
            let received = now
            state.update { reconciler in
                switch event {
                case .restarted: reconciler.beginClaimRelist()
                case .listed(let claim), .applied(let claim):
                    reconciler.apply(
                        Claim(claim.metadata),
                        volumeName: claim.spec.volumeName,
                        healthStatus: claim.status.healthStatus.conditions,
                        at: received
                    )
                case .synced: reconciler.endClaimRelist(at: received)
                case .deleted(let claim): reconciler.removeClaim(Claim(claim.metadata).key, at: received)
                }
            }
            if case .synced = event { state.didSync(.claims) }
        }
    }

    private func watcher<Object: KubernetesObject>(of type: Object.Type) -> Watcher<Object> {
        Watcher(client: kubernetes, logger: logger)
    }

    private func apply(_ volume: PersistentVolume, to reconciler: inout Reconciler, at now: Duration) {
        let csi = volume.spec.persistentVolumeSource.csi
        if csi.driver == configuration.driverName, !csi.volumeHandle.isEmpty {
            reconciler.apply(MonitoredVolume(volume, secrets: configuration.volumeSecrets), at: now)
        } else {
            reconciler.removeVolume(named: volume.metadata.name, at: now)
        }
    }
}

extension MonitoredVolume {
    package init(_ volume: PersistentVolume, secrets: VolumeSecretsKind) {
        let reference = volume.spec.claimRef
        self.init(
            name: volume.metadata.name,
            handle: volume.spec.persistentVolumeSource.csi.volumeHandle,
            claim: volume.spec.hasClaimRef ? ClaimKey(namespace: reference.namespace, name: reference.name) : nil,
            claimUID: reference.uid,
            isBound: volume.status.phase == "Bound",
            secret: secrets.reference(in: volume.spec.persistentVolumeSource.csi)
        )
    }
}

extension Claim {
    package init(_ metadata: ObjectMeta) {
        self.init(
            key: ClaimKey(namespace: metadata.namespace, name: metadata.name),
            uid: metadata.uid,
            resourceVersion: metadata.resourceVersion
        )
    }
}
