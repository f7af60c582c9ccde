// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

package import HealthCore

/// A PersistentVolume, reduced to what is needed to find its claim and probe the volume.
package struct MonitoredVolume: Sendable, Hashable {
    /// `metadata.name`
    package var name: String
    /// `spec.csi.volumeHandle`
    package var handle: String
    /// `spec.claimRef`; nil while there is none.
    package var claim: ClaimKey?
    /// `spec.claimRef.uid`; empty while a pre-bound volume waits for its claim.
    package var claimUID: String
    /// Whether `status.phase` is Bound.
    package var isBound: Bool
    /// The Secret to send with calls for this volume.
    package var secret: SecretName?
    /// Whether `spec.nodeAffinity` names nodes, but not the node of this process.
    package var isOfOtherNode: Bool
    /// What it may have in common with other volumes.
    package var placement: VolumePlacement

    package init(
        name: String,
        handle: String,
        claim: ClaimKey?,
        claimUID: String,
        isBound: Bool,
        secret: SecretName? = nil,
        isOfOtherNode: Bool = false,
        placement: VolumePlacement = VolumePlacement()
    ) {
        self.name = name
        self.handle = handle
        self.claim = claim
        self.claimUID = claimUID
        self.isBound = isBound
        self.secret = secret
        self.isOfOtherNode = isOfOtherNode
        self.placement = placement
    }
}

/// The known health of a volume.
package enum KnownHealth: Sendable, Hashable {
    /// The driver has reported nothing, or only conditions of unknown types.
    case unknown
    /// The driver reported that the volume is healthy.
    case healthy
    /// The driver reported a condition, or does not find the volume.
    case unhealthy
}
