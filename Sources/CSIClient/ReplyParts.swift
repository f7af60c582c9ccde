// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// A protobuf message cut between its fields: each part is a message of its own, and all of them merged are the whole.
///
/// Source: https://protobuf.dev/programming-guides/encoding, "Last One Wins": concatenated messages are merged.
struct ReplyParts {
    /// How many fields a part has at most.
    static let maximumFields = 1000
    /// No field begins in a part that is so long already.
    static let maximumBytes = 128 << 10
    /// How many fields one entry may have, where it makes a part of its own.
    static let maximumEntryFields = 10_000

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
            guard let field = field(at: offset, &groups) else {
                offset = bytes.count
                break
            }
            // A long one makes a part of its own.
            if fields > 0, groups == 0, field.content.count > Self.maximumBytes { break }
            offset = field.content.upperBound
            fields += 1
        }
        // The usual reply is one part, and not copied.
        return start == 0 && offset == bytes.count ? bytes : Array(bytes[start..<offset])
    }

    /// Whether field 1, a message, has more fields than anybody has to say of one volume. Each could be of two bytes, and
    /// takes a hundred times as much when it is decoded.
    static func isOvercrowded(_ reply: [UInt8]) -> Bool {
        guard reply.count > maximumBytes else { return false }
        let reply = ReplyParts(reply)
        var groups = 0
        var position = 0
        while position < reply.bytes.count, let field = reply.field(at: position, &groups) {
            position = field.content.upperBound
            guard field.tag == 1 << 3 | 2, field.content.count > maximumBytes else { continue }
            var inner = field.content.lowerBound
            var count = 0
            while inner < field.content.upperBound, let field = reply.field(at: inner, &groups) {
                inner = field.content.upperBound
                count += 1
            }
            if count > maximumEntryFields { return true }
        }
        return false
    }

    /// The field that begins here; nil where none does. The begin and the end of a group count as a field each.
    private func field(at start: Int, _ groups: inout Int) -> (tag: UInt64, content: Range<Int>)? {
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
        return (tag, position..<position + Int(length))
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
