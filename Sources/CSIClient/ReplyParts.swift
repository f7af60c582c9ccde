// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// A protobuf message cut between its fields: each part is a message of its own, and all of them merged are the whole.
///
/// Source: https://protobuf.dev/programming-guides/encoding, "Last One Wins": concatenated messages are merged.
struct ReplyParts {
    /// How many fields a part has at most.
    static let maximumFields = 1000
    /// No field begins in a part that is so long already.
    static let maximumBytes = 1 << 20

    private let bytes: [UInt8]
    private var offset = 0
    private var hasBegun = false

    init(_ bytes: [UInt8]) {
        self.bytes = bytes
    }

    /// The next part; nil after the last one. An empty message has one part. Where something is no field, all that is
    /// left is one part, for the decoder to complain of.
    mutating func next() -> [UInt8]? {
        guard !hasBegun || offset < bytes.count else { return nil }
        hasBegun = true
        let start = offset
        var fields = 0
        // Groups may be inside groups, and are not cut.
        var groups = 0
        while offset < bytes.count, groups > 0 || fields < Self.maximumFields && offset - start < Self.maximumBytes {
            guard let end = endOfField(at: offset, &groups) else {
                offset = bytes.count
                break
            }
            offset = end
            fields += 1
        }
        // The usual reply is one part, and not copied.
        return start == 0 && offset == bytes.count ? bytes : Array(bytes[start..<offset])
    }

    /// Where the next field begins; of a group's begin and end, each counts as a field.
    private func endOfField(at start: Int, _ groups: inout Int) -> Int? {
        var position = start
        guard let tag = varint(&position) else { return nil }
        let length: UInt64
        switch tag & 7 {
        case 0:
            guard varint(&position) != nil else { return nil }
            length = 0
        case 1: length = 8
        case 2:
            guard let prefix = varint(&position) else { return nil }
            length = prefix
        case 3, 4:
            groups += tag & 7 == 3 ? 1 : -1
            length = 0
        case 5: length = 4
        default: return nil
        }
        guard groups >= 0, length <= bytes.count - position else { return nil }
        return position + Int(length)
    }

    private func varint(_ position: inout Int) -> UInt64? {
        var value: UInt64 = 0
        for shift in stride(from: UInt64(0), to: 70, by: 7) where position < bytes.count {
            let byte = bytes[position]
            position += 1
            value |= UInt64(byte & 0x7F) << shift
            if byte & 0x80 == 0 { return value }
        }
        return nil
    }
}
