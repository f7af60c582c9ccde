// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthCore

/// Identifies a volume of a pod: the pod's uid, never its name, and what the kubelet calls the volume.
package struct NodeVolumeKey: Sendable, Hashable {
    package var podUID: String
    /// The name of the PersistentVolume; for an inline volume, its name in the pod.
    package var volume: String
    package var isInline: Bool
}

/// A volume of a pod, for reports on the pod.
package struct NodeVolume: ReportTarget, Hashable {
    package var key: NodeVolumeKey
    package var namespace: String
    package var podName: String
    package var driver: String
    package var volumeHandle: String
    /// The names in `spec.volumes`, sorted: several where they share one claim.
    package var names: [String]
    /// nil for an inline volume.
    package var claimName: String?
    package var claimUID: String?

    package var podUID: String { key.podUID }

    /// The names for logs and labels, such as `data` or `data,logs`.
    package var nameList: String { names.joined(separator: ",") }
}

/// A pod, for its readiness condition.
package struct NodePodTarget: ReportTarget, Hashable {
    package var namespace: String
    package var podName: String
    package var podUID: String
}

/// This node, for events on the health of a driver's storage. Events on nodes are in the namespace `default`.
package struct NodeTarget: ReportTarget, Hashable {
    package var driver: String

    package var namespace: String { "default" }
}
