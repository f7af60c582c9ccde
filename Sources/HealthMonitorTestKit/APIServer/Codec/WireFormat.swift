// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// Writes the protobuf wire format: https://protobuf.dev/programming-guides/encoding
struct WireWriter {
    private(set) var bytes: [UInt8] = []

    mutating func varint(_ value: UInt64, field: Int) {
        tag(field, .varint)
        varint(value)
    }

    mutating func bytes(_ content: some Collection<UInt8>, field: Int) {
        tag(field, .lengthDelimited)
        varint(UInt64(content.count))
        bytes.append(contentsOf: content)
    }

    private mutating func tag(_ field: Int, _ type: WireType) {
        varint(UInt64(field) << 3 | UInt64(type.rawValue))
    }

    private mutating func varint(_ value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(rest))
    }
}

/// Reads the protobuf wire format.
struct WireReader {
    /// A field's content. Fixed-width fields, which Kubernetes' types do not have, are skipped.
    enum Content {
        case varint(UInt64)
        case bytes(ArraySlice<UInt8>)
        case skipped
    }

    private var rest: ArraySlice<UInt8>

    init(_ bytes: ArraySlice<UInt8>) {
        rest = bytes
    }

    /// The next field; nil at the end.
    mutating func next() throws(SchemaError) -> (number: Int, content: Content)? {
        guard !rest.isEmpty else { return nil }
        let tag = try varint()
        let number = Int(truncatingIfNeeded: tag >> 3)
        switch WireType(rawValue: UInt8(tag & 7)) {
        case .varint: return (number, .varint(try varint()))
        case .lengthDelimited:
            let length = try varint()
            return (number, .bytes(try take(length)))
        case .fixed64:
            _ = try take(8)
            return (number, .skipped)
        case .fixed32:
            _ = try take(4)
            return (number, .skipped)
        case nil:
            throw SchemaError(path: "", problem: "proto: wire type \(tag & 7) of field \(number) is not known")
        }
    }

    private mutating func take(_ count: UInt64) throws(SchemaError) -> ArraySlice<UInt8> {
        guard count <= UInt64(rest.count) else {
            throw SchemaError(path: "", problem: "proto: unexpected end of input")
        }
        let taken = rest.prefix(Int(count))
        rest = rest.dropFirst(Int(count))
        return taken
    }

    private mutating func varint() throws(SchemaError) -> UInt64 {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while let byte = rest.popFirst(), shift < 64 {
            value |= UInt64(byte & 0x7F) << shift
            if byte < 0x80 { return value }
            shift += 7
        }
        throw SchemaError(path: "", problem: "proto: a varint does not end")
    }
}

private enum WireType: UInt8 {
    case varint = 0
    case fixed64 = 1
    case lengthDelimited = 2
    case fixed32 = 5
}
