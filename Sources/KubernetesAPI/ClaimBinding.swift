// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// A PersistentVolumeClaim, reduced to the volume that it is bound to and the object that owns it.
package struct ClaimBinding: ListedObject, Hashable {
    package static let resource = PersistentVolumeClaim.resource

    private let claim: PersistentVolumeClaim

    /// Reads a claim; texts are repaired and bounded, because any client that may create a claim chooses them.
    ///
    /// - Throws: if the bytes are not a message.
    package init(reading bytes: Span<UInt8>) throws {
        claim = try PersistentVolumeClaim(keeping: Self.kept, of: bytes)
    }

    package var uid: String { claim.metadata.uid }
    package var resourceVersion: String { claim.metadata.resourceVersion }
    /// `spec.volumeName`; empty until the claim is bound.
    package var volumeName: String { claim.spec.volumeName }
    package var isBound: Bool { claim.status.phase == "Bound" }
    /// The uid of the owner that manages the claim, for a generic ephemeral volume that of its pod; nil without one.
    package var controllerUID: String? { claim.metadata.ownerReferences.first(where: \.controller)?.uid }

    private static let kept: [Int: KeptField] = [
        1: .message([5: .name, 6: .name, 13: .message([4: .name, 6: .number])]),
        2: .message([3: .name]),
        3: .message([1: .name]),
    ]
}

/// A PersistentVolume, reduced to the claim that it is bound to and to what a CSI driver knows it by.
package struct VolumeBinding: ListedObject, Hashable {
    package static let resource = PersistentVolume.resource

    /// The longest `spec.csi.volumeHandle` that is read. Volumes with longer ones are not monitored, so that their
    /// handles take no memory.
    ///
    /// CSI limits a `volume_id` to 128 bytes, which drivers exceed with paths and resource names in it. The API server
    /// does not limit its length: `validateCSIPersistentVolumeSource` in pkg/apis/core/validation.
    package static let maximumHandleBytes = 4096

    private let volume: PersistentVolume

    /// Reads a volume.
    ///
    /// - Throws: if the bytes are not a message, or the handle is not UTF-8, which a CSI call cannot carry, or longer
    ///   than ``maximumHandleBytes``: a repaired or truncated one could be that of another volume.
    package init(reading bytes: Span<UInt8>) throws {
        volume = try PersistentVolume(keeping: Self.kept, of: bytes)
    }

    package var name: String { volume.metadata.name }
    package var resourceVersion: String { volume.metadata.resourceVersion }
    /// `spec.claimRef.uid`; empty until the volume is bound.
    package var claimUID: String { volume.spec.claimRef.uid }
    /// `spec.csi.driver`; empty for a volume that is not a CSI volume.
    package var driver: String { volume.spec.persistentVolumeSource.csi.driver }
    /// `spec.csi.volumeHandle`
    package var handle: String { volume.spec.persistentVolumeSource.csi.volumeHandle }
    package var isBlock: Bool { volume.spec.volumeMode == "Block" }

    private static let kept: [Int: KeptField] = [
        1: .message([1: .name, 6: .name]),
        2: .message([
            2: .message([22: .message([1: .name, 2: .validText(limit: maximumHandleBytes)])]), 4: .message([4: .name]),
            8: .name,
        ]),
    ]
}
