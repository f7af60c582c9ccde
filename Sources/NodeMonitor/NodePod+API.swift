// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

package import KubernetesAPI
package import NodeCore

extension NodePod {
    /// A pod as the API server has it, for the core.
    ///
    /// - Parameter boot: the time the node booted, while pod statuses may be older than that, in seconds since 1970;
    ///   nil afterwards.
    package init(_ watched: WatchedPod, sinceBoot boot: Int64? = nil) {
        let pod = watched.pod
        let used = watched.usedVolumes
        self.init(
            namespace: pod.metadata.namespace,
            name: pod.metadata.name,
            uid: pod.metadata.uid,
            isMirror: watched.isMirror,
            hasEnded: watched.hasEnded,
            isDeleting: watched.isDeleting,
            isStarted: boot.map(watched.hasStarted(sinceBoot:)) ?? watched.isStarted,
            volumes: pod.spec.volumes.compactMap { used.contains($0.name) ? PodVolume($0) : nil },
            readinessGates: pod.spec.readinessGates.map(\.conditionType).filter(ReadinessCondition.isType),
            conditions: pod.status.conditions.compactMap { condition in
                guard ReadinessCondition.isType(condition.type) else { return nil }
                return NodeCore.PodCondition(
                    type: condition.type,
                    status: condition.status,
                    reason: condition.reason,
                    message: condition.message
                )
            }
        )
    }
}

extension PodVolume {
    /// nil for anything but a claim, a generic ephemeral or an inline CSI volume. In-tree volumes that the kubelet
    /// migrates are not monitored.
    fileprivate init?(_ volume: KubernetesAPI.Volume) {
        let source = volume.volumeSource
        if source.hasPersistentVolumeClaim {
            self.init(name: volume.name, source: .claim(source.persistentVolumeClaim.claimName))
        } else if source.hasEphemeral {
            self.init(name: volume.name, source: .genericEphemeral)
        } else if source.hasCsi {
            self.init(name: volume.name, source: .inline(driver: source.csi.driver))
        } else {
            return nil
        }
    }
}

extension ClaimFacts {
    package init(_ claim: ClaimBinding) {
        self.init(
            uid: claim.uid,
            isBound: claim.isBound,
            volumeName: claim.volumeName,
            controllerUID: claim.controllerUID
        )
    }
}

extension VolumeFacts {
    package init(_ volume: VolumeBinding) {
        self.init(
            name: volume.name,
            claimUID: volume.claimUID,
            driver: volume.driver.isEmpty ? nil : volume.driver,
            volumeHandle: volume.handle,
            isBlock: volume.isBlock
        )
    }
}
