// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

package import KubernetesAPI
import ProtobufWire

/// Splits the body of a list into the fields of the list while it arrives: a list of any length needs only the memory
/// of its largest object.
///
/// The API server writes the fields of the envelope and of the list in order: the type before the list, and the list's
/// metadata before its items. Source: k8s.io/apimachinery, `pkg/runtime/serializer/protobuf/protobuf.go` and
/// `collections.go`.
package struct ListStreamDecoder {
    private let resource: Resource
    private let limit: Int
    private var unread = UnreadBytes()
    /// How many bytes of the list are not read; nil before it begins.
    private var remaining: Int?

    /// Whether the whole list was read. A body that ends before was truncated.
    package var isComplete: Bool { remaining == 0 }

    /// - Parameters:
    ///   - resource: the resource of the objects.
    ///   - limit: the maximum length of a field. It bounds the memory that an invalid length can cost.
    package init(resource: Resource, limit: Int = WatchFrameDecoder.defaultLimit) {
        self.resource = resource
        self.limit = limit
    }

    /// Appends the next bytes of the body, split anywhere.
    package mutating func append(_ bytes: [UInt8]) {
        unread.append(bytes)
    }

    /// Decodes the next complete field of the list; nil if more bytes are needed, or the list is complete. Every list
    /// type has its metadata in field 1 and its items in field 2.
    ///
    /// - Parameter read: decodes the field's content.
    /// - Throws: an error of `read`, or if the bytes are not a list of this resource, after which the decoder is
    ///   unusable.
    package mutating func next<Value>(
        _ read: (_ number: Int, Span<UInt8>) throws(WireError) -> Value
    ) throws(WireError) -> Value? {
        guard let remaining = try remainingOfList(), let head = try head(at: unread.start) else { return nil }
        guard head.content.upperBound - unread.start <= remaining else {
            throw WireError(message: "a field of the list is longer than the list")
        }
        guard head.content.upperBound <= unread.bytes.count else { return nil }
        self.remaining = remaining - (head.content.upperBound - unread.start)
        unread.start = head.content.upperBound
        return try read(head.number, unread.bytes.span.extracting(head.content))
    }

    /// Reads the envelope up to the list; nil if more bytes are needed, or the list is complete.
    private mutating func remainingOfList() throws(WireError) -> Int? {
        if let remaining { return remaining > 0 ? remaining : nil }
        var position = Envelope.prefix.count
        guard unread.bytes.count >= position else { return nil }
        while let head = try head(at: position, isBounded: false) {
            if head.number == 2 {
                try checkEnvelope(upTo: position)
                unread.start = head.content.lowerBound
                remaining = head.content.count
                return remaining
            }
            guard head.content.count <= limit else { throw tooLong(head.content.count) }
            position = head.content.upperBound
        }
        return nil
    }

    private func checkEnvelope(upTo end: Int) throws(WireError) {
        let bytes = unread.bytes.span.extracting(..<end)
        try Envelope(bytes).check(kind: "\(resource.kind)List", of: resource, in: bytes)
    }

    /// Reads tag and length at a position, where all fields are length-delimited; nil if more bytes are needed.
    private func head(
        at position: Int,
        isBounded: Bool = true
    ) throws(WireError) -> (number: Int, content: Range<Int>)? {
        var position = position
        guard let tag = try varint(at: &position), let length = try varint(at: &position) else { return nil }
        guard tag & 7 == 2, tag >> 3 > 0, length <= Int32.max else {
            throw WireError(message: "the bytes are not a list")
        }
        guard !isBounded || length <= limit else { throw tooLong(length) }
        return (tag >> 3, position..<position + length)
    }

    private func varint(at position: inout Int) throws(WireError) -> Int? {
        var value = 0
        for shift in stride(from: 0, to: 63, by: 7) {
            guard position < unread.bytes.count else { return nil }
            let byte = unread.bytes[position]
            position += 1
            value |= Int(byte & 0x7F) << shift
            if byte < 0x80 { return value }
        }
        throw WireError(message: "the bytes are not a list")
    }

    private func tooLong(_ length: Int) -> WireError {
        WireError(message: "a field of the list has \(length) bytes, more than the limit of \(limit)")
    }
}
