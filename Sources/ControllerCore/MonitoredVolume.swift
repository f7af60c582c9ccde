// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

package import HealthCore

/// A PersistentVolume as far as finding its claim and asking its driver need it.
package struct MonitoredVolume: Sendable, Hashable {
    /// `metadata.name`
    package var name: String
    /// `spec.csi.volumeHandle`
    package var handle: String
    /// `spec.claimRef`; nil while the volume is free.
    package var claim: ClaimKey?
    /// `spec.claimRef.uid`; empty while a pre-bound volume waits for its claim.
    package var claimUID: String
    /// `status.phase` is Bound.
    package var isBound: Bool
    /// The Secret that the driver wants with every call on this volume.
    package var secret: SecretName?
    /// `spec.nodeAffinity` names nodes, and not the one on which we run.
    package var isOfOtherNode: Bool

    /// Describes a volume.
    package init(
        name: String,
        handle: String,
        claim: ClaimKey?,
        claimUID: String,
        isBound: Bool,
        secret: SecretName? = nil,
        isOfOtherNode: Bool = false
    ) {
        self.name = name
        self.handle = handle
        self.claim = claim
        self.claimUID = claimUID
        self.isBound = isBound
        self.secret = secret
        self.isOfOtherNode = isOfOtherNode
    }
}

/// What is known of a volume's health.
package enum KnownHealth: Sendable, Hashable {
    /// The driver has not said anything that we understand.
    case unknown
    /// The driver said that nothing is wrong.
    case healthy
    /// Something is wrong.
    case unhealthy
}
