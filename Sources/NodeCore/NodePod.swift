// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthCore

/// A Pod of this node, reduced to what health monitoring needs.
///
/// Source: core/v1 `Pod`. Its identity is its uid: a pod that was deleted and created again under its name is another
/// pod, with other mounts.
package struct NodePod: Sendable, Hashable {
    package var namespace: String
    package var name: String
    package var uid: String
    /// The kubelet's copy of a static pod: annotation `kubernetes.io/config.mirror`. It cannot have claims.
    package var isMirror: Bool
    /// Phase Succeeded or Failed: its volumes are unmounted.
    package var hasEnded: Bool
    /// `metadata.deletionTimestamp` is set.
    package var isDeleting: Bool
    /// Its volumes are mounted: condition PodReadyToStartContainers is True, or any container has run.
    package var isStarted: Bool
    /// The volumes that some container mounts, as a file system or as a device: the kubelet mounts no others.
    package var volumes: [PodVolume]
    /// The types in `spec.readinessGates` that have the form of ReadinessCondition.type(driver:).
    package var readinessGates: [String]
    /// The conditions in `status.conditions` of these types.
    package var conditions: [PodCondition]

    package init(
        namespace: String,
        name: String,
        uid: String,
        isMirror: Bool = false,
        hasEnded: Bool = false,
        isDeleting: Bool = false,
        isStarted: Bool = false,
        volumes: [PodVolume] = [],
        readinessGates: [String] = [],
        conditions: [PodCondition] = []
    ) {
        self.namespace = namespace
        self.name = name
        self.uid = uid
        self.isMirror = isMirror
        self.hasEnded = hasEnded
        self.isDeleting = isDeleting
        self.isStarted = isStarted
        self.volumes = volumes
        self.readinessGates = readinessGates
        self.conditions = conditions
    }

    /// Whether its volumes are not to be probed any more.
    package var isOver: Bool { isMirror || hasEnded || isDeleting }

    /// The claim behind a volume; nil for an inline volume.
    func lookup(of volume: PodVolume) -> ClaimLookup? {
        switch volume.source {
        case .claim(let claim): ClaimLookup(namespace: namespace, name: claim)
        // k8s.io/component-helpers/storage/ephemeral, VolumeClaimName.
        case .genericEphemeral:
            ClaimLookup(namespace: namespace, name: "\(name)-\(volume.name)", ownerUID: uid)
        case .inline: nil
        }
    }
}

/// An entry of `spec.volumes` that may be a CSI volume.
package struct PodVolume: Sendable, Hashable {
    package enum Source: Sendable, Hashable {
        /// `persistentVolumeClaim`, with the claim's name.
        case claim(String)
        /// `ephemeral`: the claim is named after the pod and the volume, and belongs to the pod.
        case genericEphemeral
        /// `csi`, with the driver's name.
        case inline(driver: String)
    }

    package var name: String
    package var source: Source

    package init(name: String, source: Source) {
        self.name = name
        self.source = source
    }
}

/// An entry of `status.conditions` of a Pod.
package struct PodCondition: Sendable, Hashable {
    package var type: String
    /// `True`, `False` or `Unknown`.
    package var status: String
    package var reason: String
    package var message: String

    package init(type: String, status: String, reason: String, message: String) {
        self.type = type
        self.status = status
        self.reason = bounded(reason, toBytes: 1024)
        self.message = bounded(message, toBytes: 2048)
    }
}
