// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

package import KubernetesAPI
import KubernetesClient
package import VolumeHealth

extension HealthMonitor {
    /// Keeps the core's volumes as the cluster's are. Of a volume only what the core needs is kept.
    func watchVolumes(into state: MonitorState) async throws {
        for try await event in Watcher<WatchedVolume>(client: kubernetes, logger: logger) {
            let received = now
            state.update { reconciler in
                switch event {
                case .restarted: reconciler.beginVolumeRelist()
                case .listed(let volumes):
                    for volume in volumes { apply(volume, to: &reconciler, at: received) }
                case .applied(let volume): apply(volume, to: &reconciler, at: received)
                case .synced: reconciler.endVolumeRelist(at: received)
                case .deleted(let volume): reconciler.removeVolume(named: volume.name, at: received)
                }
            }
            if case .synced = event { state.didSync(.volumes) }
        }
    }

    /// Keeps the core's claims as the cluster's are.
    func watchClaims(into state: MonitorState) async throws {
        for try await event in Watcher<WatchedClaim>(client: kubernetes, logger: logger) {
            let received = now
            state.update { reconciler in
                switch event {
                case .restarted: reconciler.beginClaimRelist()
                case .listed(let claims):
                    for claim in claims { reconciler.apply(claim, at: received) }
                case .applied(let claim): reconciler.apply(claim, at: received)
                case .synced: reconciler.endClaimRelist(at: received)
                case .deleted(let claim): reconciler.removeClaim(claim.claim.key, at: received)
                }
            }
            if case .synced = event { state.didSync(.claims) }
        }
    }

    private func apply(_ volume: WatchedVolume, to reconciler: inout Reconciler, at now: Duration) {
        if volume.driver == configuration.driverName, !volume.handle.isEmpty {
            reconciler.apply(volume.monitored(secrets: configuration.volumeSecrets), at: now)
        } else {
            reconciler.removeVolume(named: volume.name, at: now)
        }
    }
}

extension Reconciler {
    package mutating func apply(_ claim: WatchedClaim, at now: Duration) {
        apply(claim.claim, volumeName: claim.volumeName, healthStatus: claim.healthStatus, at: now)
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
