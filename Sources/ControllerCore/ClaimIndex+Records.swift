// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import CompactStorage
import HealthCore

/// The record of each watched object, and the texts that records refer to. docs/architecture.md has their sizes.
extension ClaimIndex {
    /// A PersistentVolume of the monitored driver.
    struct VolumeRecord: Record {
        /// `metadata.name`
        var key: StringTable.Key
        /// `spec.csi.volumeHandle`
        var handle: StringTable.Key
        /// The key of a ``ClaimIndex/ClaimRecord``, which may not exist; `none` while the volume has no claimRef.
        var claim: StringTable.Key
        /// `spec.claimRef.uid`; the empty text while a pre-bound volume waits for its claim.
        var claimUID: StringTable.Key
        /// Namespace and name, joined by a slash, of the Secret to send with calls; `none` if there is none.
        var secret: StringTable.Key
        /// ``VolumePlacement/text``, which many volumes share; `none` for a volume without StorageClass and topology.
        var placement: StringTable.Key
        /// The name of the next volume with the same handle; almost always `none`.
        var nextOfHandle = StringTable.Key.none
        /// ``ClaimIndex/volumeGeneration`` when it was last seen.
        var generation: UInt32
        /// `status.phase` is Bound.
        var isBound: Bool
        /// `spec.nodeAffinity` names nodes, and the node of this process is not among them.
        var isOfOtherNode: Bool
    }

    /// A volume handle that at least one volume has.
    struct HandleEntry: Record {
        /// `spec.csi.volumeHandle`
        var key: StringTable.Key
        /// The name of the first volume with this handle.
        var firstVolume = StringTable.Key.none
        var record = HandleRecord()
    }

    /// A PersistentVolumeClaim, whichever driver provides its volume.
    struct ClaimRecord: Record {
        /// Namespace and name, joined by ``ClaimIndex/text(_:)``.
        var key: StringTable.Key
        var uid: StringTable.Key
        /// `spec.volumeName`, empty until the claim is bound.
        var volumeName: StringTable.Key
        /// ``ClaimIndex/claimGeneration`` when it was last seen.
        var generation: UInt32
        /// `metadata.resourceVersion`
        var version: Version
    }

    /// A `resourceVersion`: a decimal number (KEP-5504), or any other text that a server may return.
    enum Version: Sendable {
        case number(UInt64)
        case text(StringTable.Key)
    }

    /// Namespace and name joined by a slash, which neither contains.
    static func text(_ key: ClaimKey) -> String { "\(key.namespace)/\(key.name)" }

    /// The claim of a record.
    subscript(record: ClaimRecord) -> Claim {
        let (namespace, name) = names(at: record.key)
        let version =
            switch record.version {
            case .number(let number): String(number)
            case .text(let key): texts[key]
            }
        return Claim(
            key: ClaimKey(namespace: namespace, name: name),
            uid: texts[record.uid],
            resourceVersion: version
        )
    }

    /// The Secret whose namespace and name are stored as ``VolumeRecord/secret``.
    func secret(at key: StringTable.Key) -> SecretName {
        let (namespace, name) = names(at: key)
        return SecretName(namespace: namespace, name: name)
    }

    private func names(at key: StringTable.Key) -> (namespace: String, name: String) {
        let text = texts[key]
        let slash = text.utf8.firstIndex(of: UInt8(ascii: "/")) ?? text.startIndex
        return (String(text[..<slash]), String(text[slash...].dropFirst()))
    }

    /// The compact form of a `resourceVersion`.
    mutating func version(_ text: String) -> Version {
        if let number = UInt64(text), String(number) == text { return .number(number) }
        // The next version of the claim leaves this text unused.
        abandonedRecords += 1
        return .text(texts.insert(text))
    }

    /// Copies the texts in use into a new table when many of the old one may be unused: once the changes and removals
    /// since the last copy exceed 1000 and half the number of records, so that the average cost of a change grows only
    /// a little.
    mutating func reclaimTexts() {
        guard abandonedRecords > max(1000, (volumes.count + claims.count) / 2) else { return }
        var copy = StringTable()
        func moved(_ key: StringTable.Key) -> StringTable.Key { key == .none ? .none : copy.insert(texts[key]) }
        volumes.rekey { record in
            record.key = moved(record.key)
            record.handle = moved(record.handle)
            record.claim = moved(record.claim)
            record.claimUID = moved(record.claimUID)
            record.secret = moved(record.secret)
            record.placement = moved(record.placement)
            record.nextOfHandle = moved(record.nextOfHandle)
        }
        handles.rekey { record in
            record.key = moved(record.key)
            record.firstVolume = moved(record.firstVolume)
        }
        claims.rekey { record in
            record.key = moved(record.key)
            record.uid = moved(record.uid)
            record.volumeName = moved(record.volumeName)
            if case .text(let key) = record.version { record.version = .text(moved(key)) }
        }
        texts = copy
        abandonedRecords = 0
    }
}
