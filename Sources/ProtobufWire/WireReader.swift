// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// Iterates over the fields of one protobuf message, and decodes only the fields that the caller reads.
///
/// For message types that come in large numbers and of which few fields are needed. It reads the same values as a
/// generated message, and like it treats a field of an unexpected wire type as unknown. The reader does not hold the
/// bytes: pass the same bytes with every call.
///
/// ```swift
/// var reader = WireReader()
/// while let field = try reader.next(in: bytes) {
///     if field.number == 1 { try field.read(&name, in: bytes) }
/// }
/// ```
///
/// Source: https://protobuf.dev/programming-guides/encoding.
package struct WireReader: Sendable {
    /// The offset of the next field.
    package private(set) var position: Int

    /// - Parameter position: the offset of the first field to read.
    package init(at position: Int = 0) {
        self.position = position
    }

    /// Reads the next field; nil at the end. A group is one field.
    ///
    /// - Throws: if there is no valid field at the position, or it is truncated. The position does not change.
    package mutating func next(in bytes: Span<UInt8>) throws(WireFormatError) -> WireField? {
        guard position < bytes.count else { return nil }
        var end = position
        let tag = try Self.varint(in: bytes, at: &end)
        guard tag >> 3 > 0 else { throw WireFormatError(position: position) }
        var value = tag
        let start: Int
        switch tag & 7 {
        case 0:
            start = end
            value = try Self.varint(in: bytes, at: &end)
        case 3:
            start = end
            try Self.skipGroup(in: bytes, at: &end)
        default:
            (start, end) = try Self.content(ofTag: tag, in: bytes, at: end)
        }
        position = end
        return WireField(
            number: Int(clamping: tag >> 3),
            wireType: UInt8(truncatingIfNeeded: tag & 7),
            value: value,
            content: start..<end
        )
    }

    /// The content after the tag of a fixed-length or length-delimited field.
    private static func content(
        ofTag tag: UInt64,
        in bytes: Span<UInt8>,
        at position: Int
    ) throws(WireFormatError) -> (start: Int, end: Int) {
        var start = position
        let length: UInt64
        switch tag & 7 {
        case 1: length = 8
        case 2: length = try varint(in: bytes, at: &start)
        case 5: length = 4
        default: throw WireFormatError(position: position)
        }
        guard length <= bytes.count - start else { throw WireFormatError(position: position) }
        return (start, start + Int(length))
    }

    /// Advances past the end of the group whose start tag was read.
    private static func skipGroup(in bytes: Span<UInt8>, at position: inout Int) throws(WireFormatError) {
        var depth = 1
        while depth > 0 {
            let tag = try varint(in: bytes, at: &position)
            switch tag & 7 {
            case 0: _ = try varint(in: bytes, at: &position)
            case 3: depth += 1
            case 4: depth -= 1
            default: (_, position) = try content(ofTag: tag, in: bytes, at: position)
            }
        }
    }

    private static func varint(in bytes: Span<UInt8>, at position: inout Int) throws(WireFormatError) -> UInt64 {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while position < bytes.count, shift < 70 {
            let byte = bytes[position]
            position += 1
            value |= UInt64(byte & 0x7F) << shift
            if byte < 0x80 { return value }
            shift += 7
        }
        throw WireFormatError(position: position)
    }
}

/// One field of a message.
package struct WireField: Sendable, Hashable {
    package let number: Int
    fileprivate let wireType: UInt8
    fileprivate let value: UInt64
    /// The range of the value, without tag and length.
    package let content: Range<Int>

    /// The encoded tag and length of a length-delimited field, which precede its content.
    package static func header(number: Int, length: Int) -> [UInt8] {
        [number << 3 | 2, length].flatMap { value in
            var rest = value
            var bytes: [UInt8] = []
            repeat {
                bytes.append(UInt8(rest & 0x7F) | (rest > 0x7F ? 0x80 : 0))
                rest >>= 7
            } while rest > 0
            return bytes
        }
    }

    /// The value of an integer, a bool or an enum; nil for a field of another wire type.
    package var integer: UInt64? { wireType == 0 ? value : nil }

    /// The range of an embedded message; nil for a field of another wire type.
    package var message: Range<Int>? { wireType == 2 ? content : nil }

    /// Reads a string into `text`. A field of another wire type leaves `text` as it is.
    ///
    /// - Throws: if it is not valid UTF-8, or has more than `limit` bytes.
    package func read(
        _ text: inout String,
        upTo limit: Int = .max,
        in bytes: Span<UInt8>
    ) throws(WireFormatError) {
        guard wireType == 2 else { return }
        guard content.count <= limit else {
            throw WireFormatError(position: content.lowerBound, length: content.count, limit: limit)
        }
        do {
            text = String(copying: try UTF8Span(validating: bytes.extracting(content)))
        } catch {
            throw WireFormatError(position: content.lowerBound)
        }
    }

    /// Reads a string that its writer may not have validated: invalid UTF-8 becomes U+FFFD, and a string of more than
    /// `limit` bytes is read as empty. A field of another wire type leaves `text` as it is.
    package func readRepaired(_ text: inout String, upTo limit: Int = .max, in bytes: Span<UInt8>) {
        guard wireType == 2 else { return }
        guard content.count <= limit else {
            text = ""
            return
        }
        do {
            try read(&text, in: bytes)
        } catch {
            text = String(decoding: content.map { bytes[$0] }, as: UTF8.self)
        }
    }

    /// Reads the seconds of a `metav1.Time` or `MicroTime`. A field of another wire type, and a time without seconds,
    /// leave `seconds` as they are.
    package func readSeconds(_ seconds: inout Int64, in bytes: Span<UInt8>) throws(WireFormatError) {
        guard let message else { return }
        let time = bytes.extracting(message)
        var reader = WireReader()
        while let field = try reader.next(in: time) {
            if field.number == 1, let integer = field.integer { seconds = Int64(bitPattern: integer) }
        }
    }
}

/// Bytes that are not a protobuf message, or a string that is too long.
package struct WireFormatError: Error, Hashable, CustomStringConvertible {
    /// The offset at which decoding failed.
    package let position: Int
    package let description: String

    init(position: Int) {
        self.position = position
        description = "invalid protobuf field at byte \(position)"
    }

    init(position: Int, length: Int, limit: Int) {
        self.position = position
        description = "the string at byte \(position) has \(length) bytes, more than the limit of \(limit)"
    }
}
