// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// A PersistentVolume as far as finding its claim and asking its driver need it.
public struct MonitoredVolume: Sendable, Hashable {
    /// `metadata.name`
    public var name: String
    /// `spec.csi.volumeHandle`
    public var handle: String
    /// `spec.claimRef`; nil while the volume is free.
    public var claim: ClaimKey?
    /// `spec.claimRef.uid`; empty while a pre-bound volume waits for its claim.
    public var claimUID: String
    /// `status.phase` is Bound.
    public var isBound: Bool
    /// The Secret that the driver wants with every call on this volume.
    public var secret: SecretName?
    /// `spec.nodeAffinity` names nodes, and not the one on which we run.
    public var isOfOtherNode: Bool

    /// Describes a volume.
    public init(
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

/// Where a Secret is found.
public struct SecretName: Sendable, Hashable {
    /// `metadata.namespace`
    public var namespace: String
    /// `metadata.name`
    public var name: String

    /// Names a Secret.
    public init(namespace: String, name: String) {
        self.namespace = namespace
        self.name = name
    }
}

/// What is known of a volume's health.
public enum KnownHealth: Sendable, Hashable {
    /// The driver has not said anything that we understand.
    case unknown
    /// The driver said that nothing is wrong.
    case healthy
    /// Something is wrong.
    case adverse
}
