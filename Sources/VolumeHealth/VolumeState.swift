// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// What holds of a claim's volume.
///
/// In an outage there is one for each volume, so it is one block of bytes: the fingerprint, then status, reason and message
/// of each condition. An array of conditions would be a block, and most of its texts one more each.
package struct VolumeState: Reportable {
    /// Empty when nothing is wrong.
    private let bytes: [UInt8]

    /// A state of a volume.
    ///
    /// - Parameter conditions: all that is wrong, worst first; empty: nothing.
    package init(_ conditions: [VolumeHealthCondition]) {
        var bytes: [UInt8] = []
        if !conditions.isEmpty {
            bytes.reserveCapacity(conditions.reduce(4) { $0 + $1.packedSize })
            bytes.append(number: Fingerprint(ofConditions: conditions).rawValue)
            for condition in conditions { condition.pack(into: &bytes) }
        }
        self.bytes = bytes
    }

    /// All that is wrong, worst first; empty: nothing.
    package var conditions: [VolumeHealthCondition] {
        var conditions: [VolumeHealthCondition] = []
        var rest = bytes.dropFirst(4)
        while !rest.isEmpty { conditions.append(VolumeHealthCondition(unpacking: &rest)) }
        return conditions
    }

    /// The same news without any message.
    var withoutMessages: VolumeState {
        VolumeState(conditions.map { VolumeHealthCondition(status: $0.status, reason: $0.reason, message: "") })
    }

    /// Nothing is wrong.
    static let clear = VolumeState([])

    /// Nothing is wrong.
    package var isClear: Bool { bytes.isEmpty }

    /// Of the set of (status, reason), whatever the messages say (rule 6).
    package var fingerprint: Fingerprint {
        var rest = bytes[...]
        return isClear ? Fingerprint(ofConditions: []) : Fingerprint(rawValue: rest.takeNumber())
    }
}

extension Fingerprint {
    fileprivate init(ofConditions conditions: [VolumeHealthCondition]) {
        self.init(conditions.map { "\($0.status.rawValue)/\($0.reason)" }.sorted())
    }
}

extension VolumeHealthCondition {
    /// How many bytes ``pack(into:)`` adds at most.
    fileprivate var packedSize: Int { 5 + reason.utf8.count + message.utf8.count }

    /// The status, and each text after its length. The reason of legacy drivers is left out: no other is empty.
    fileprivate func pack(into bytes: inout [UInt8]) {
        bytes.append(UInt8(Status.allCases.firstIndex(of: status) ?? 0))
        for text in [reason == Self.legacyReason ? "" : reason, message] {
            // Both are bounded.
            bytes.append(number: UInt16(text.utf8.count))
            bytes += text.utf8
        }
    }

    fileprivate init(unpacking rest: inout ArraySlice<UInt8>) {
        let status = Status.allCases[Int(rest.removeFirst())]
        let reason = rest.takeText()
        self.init(status: status, reason: reason.isEmpty ? Self.legacyReason : reason, message: rest.takeText())
    }
}

// MARK: Bytes

extension [UInt8] {
    fileprivate mutating func append(number: some FixedWidthInteger) {
        for shift in stride(from: 0, to: number.bitWidth, by: 8) { append(UInt8(truncatingIfNeeded: number >> shift)) }
    }
}

extension ArraySlice<UInt8> {
    fileprivate mutating func takeNumber<Number: FixedWidthInteger>() -> Number {
        let size = Number.bitWidth / 8
        defer { removeFirst(size) }
        return prefix(size).reversed().reduce(0) { $0 << 8 | Number($1) }
    }

    fileprivate mutating func takeText() -> String {
        let size = Int(takeNumber() as UInt16)
        defer { removeFirst(size) }
        return String(decoding: prefix(size), as: UTF8.self)
    }
}
