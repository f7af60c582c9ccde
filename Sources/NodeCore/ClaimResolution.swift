// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// A PersistentVolumeClaim to be read for the pods that use it.
package struct ClaimLookup: Sendable, Hashable {
    package var namespace: String
    package var name: String
    /// The pod that must be the claim's controller, for a generic ephemeral volume; nil: any claim of that name counts.
    package var ownerUID: String?

    package init(namespace: String, name: String, ownerUID: String? = nil) {
        self.namespace = namespace
        self.name = name
        self.ownerUID = ownerUID
    }
}

/// What a lookup needs to know of the PersistentVolumeClaim.
package struct ClaimFacts: Sendable, Hashable {
    package var uid: String
    /// `status.phase` is Bound.
    package var isBound: Bool
    /// `spec.volumeName`; empty while there is none.
    package var volumeName: String
    /// The uid of the owner reference with `controller: true`.
    package var controllerUID: String?

    package init(uid: String, isBound: Bool, volumeName: String, controllerUID: String? = nil) {
        self.uid = uid
        self.isBound = isBound
        self.volumeName = volumeName
        self.controllerUID = controllerUID
    }
}

/// What a lookup needs to know of the PersistentVolume.
package struct VolumeFacts: Sendable, Hashable {
    package var name: String
    /// `spec.claimRef.uid`; empty while there is none.
    package var claimUID: String
    /// `spec.csi.driver`; nil: it is not a CSI volume.
    package var driver: String?
    /// `spec.csi.volumeHandle`.
    package var volumeHandle: String
    /// `spec.volumeMode` is Block.
    package var isBlock: Bool

    package init(name: String, claimUID: String, driver: String?, volumeHandle: String, isBlock: Bool) {
        self.name = name
        self.claimUID = claimUID
        self.driver = driver
        self.volumeHandle = volumeHandle
        self.isBlock = isBlock
    }
}

/// The CSI volume behind a claim. Kubernetes never changes it while a pod uses the claim.
package struct ResolvedVolume: Sendable, Hashable {
    package var driver: String
    package var volumeHandle: String
    /// The name of the PersistentVolume.
    package var volumeName: String
    package var isBlock: Bool
    package var claimName: String
    package var claimUID: String

    package init(
        driver: String,
        volumeHandle: String,
        volumeName: String,
        isBlock: Bool,
        claimName: String,
        claimUID: String
    ) {
        self.driver = driver
        self.volumeHandle = volumeHandle
        self.volumeName = volumeName
        self.isBlock = isBlock
        self.claimName = claimName
        self.claimUID = claimUID
    }
}

/// The result of a lookup.
package enum ClaimResolution: Sendable, Hashable {
    case volume(ResolvedVolume)
    /// The claim or its volume does not exist or is not bound yet: looked up again after 5 seconds, doubling to 5
    /// minutes.
    case notYet(reason: String)
    /// The claim's volume is not a CSI volume. That never changes.
    case notCSI
    /// The claim belongs to another pod or to none, so the kubelet does not start this pod. Looked up again as after
    /// ``notYet(reason:)``: it may be the claim of an earlier pod of this name, already deleted.
    case foreign(reason: String)
    /// RBAC forbids the request. Looked up again every 5 minutes.
    case forbidden
    /// The API server did not respond, or failed: looked up again as after ``notYet(reason:)``.
    case failed
}

/// What to read after the claim.
package enum ClaimStage: Sendable, Hashable {
    /// The PersistentVolume with this name, for ``ClaimLookup/resolution(claim:volume:)``.
    case volume(name: String)
    /// The lookup ends with this result.
    case ended(ClaimResolution)
}

extension ClaimLookup {
    /// Decides by the claim alone.
    package func stage(after claim: ClaimFacts) -> ClaimStage {
        if let ownerUID, claim.controllerUID != ownerUID {
            return .ended(.foreign(reason: "the claim \(name) exists and does not belong to the pod"))
        }
        guard claim.isBound, !claim.volumeName.isEmpty else {
            return .ended(.notYet(reason: "the claim \(name) is not bound"))
        }
        return .volume(name: claim.volumeName)
    }

    /// The result for a claim and the PersistentVolume that it names.
    ///
    /// Reads at resourceVersion 0 may be old: a volume whose claimRef has another uid is read again later.
    package func resolution(claim: ClaimFacts, volume: VolumeFacts) -> ClaimResolution {
        if case .ended(let resolution) = stage(after: claim) { return resolution }
        guard volume.name == claim.volumeName, volume.claimUID == claim.uid else {
            return .notYet(reason: "the volume \(volume.name) is not bound to the claim \(name)")
        }
        guard let driver = volume.driver, !driver.isEmpty else { return .notCSI }
        return .volume(
            ResolvedVolume(
                driver: driver,
                volumeHandle: volume.volumeHandle,
                volumeName: volume.name,
                isBlock: volume.isBlock,
                claimName: name,
                claimUID: claim.uid
            )
        )
    }
}
