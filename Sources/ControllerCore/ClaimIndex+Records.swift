// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import CompactStorage
import HealthCore

/// What is kept of each object. docs/architecture.md has the bytes.
extension ClaimIndex {
    /// A PersistentVolume of our driver's.
    struct VolumeRecord: Record {
        /// `metadata.name`
        var key: StringTable.Key
        var handle: StringTable.Key
        /// Of a ``ClaimIndex/ClaimRecord``, whether it is there or not; none while the volume is free.
        var claim: StringTable.Key
        var claimUID: StringTable.Key
        /// As ``ClaimIndex/text(_:)`` has it; none.
        var secret: StringTable.Key
        /// The name of another volume with this handle; almost always none.
        var nextOfHandle = StringTable.Key.none
        var generation: UInt32
        var isBound: Bool
        /// `spec.nodeAffinity` names nodes, and not the one on which we run.
        var isOfOtherNode: Bool
    }

    /// A volume handle that at least one volume has.
    struct HandleEntry: Record {
        /// The handle.
        var key: StringTable.Key
        /// A volume's name.
        var firstVolume = StringTable.Key.none
        var record = HandleRecord()
    }

    /// A PersistentVolumeClaim, whatever driver its volume has.
    struct ClaimRecord: Record {
        /// Namespace and name, as ``ClaimIndex/text(_:)`` has them.
        var key: StringTable.Key
        var uid: StringTable.Key
        /// `spec.volumeName`, empty until the claim is bound.
        var volumeName: StringTable.Key
        var generation: UInt32
        /// `metadata.resourceVersion`
        var version: Version
    }

    /// A `resourceVersion`: a decimal number (KEP-5504), or what else a server may write.
    enum Version: Sendable {
        case number(UInt64)
        case text(StringTable.Key)
    }

    /// A namespace and a name as one text: neither has a slash.
    static func text(_ key: ClaimKey) -> String { "\(key.namespace)/\(key.name)" }

    /// A claim as the outside knows it.
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

    func secret(at key: StringTable.Key) -> SecretName {
        let (namespace, name) = names(at: key)
        return SecretName(namespace: namespace, name: name)
    }

    private func names(at key: StringTable.Key) -> (namespace: String, name: String) {
        let text = texts[key]
        let slash = text.utf8.firstIndex(of: UInt8(ascii: "/")) ?? text.startIndex
        return (String(text[..<slash]), String(text[slash...].dropFirst()))
    }

    mutating func version(_ text: String) -> Version {
        if let number = UInt64(text), String(number) == text { return .number(number) }
        abandonedRecords += 1
        return .text(texts.insert(text))
    }

    /// Leaves behind the texts that nobody uses any more, when they may be the most of them. Records are fewer than
    /// their texts, and gone through as often as half of them have changed: on average this costs little more than a change.
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
