// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

package import KubernetesAPI
import ProtobufWire

/// Cuts the body of a list into the fields of the list while it arrives: a list of any length takes the memory of its
/// largest object.
///
/// The API server writes the fields of the envelope and of the list in their order: the type before the list, the list's
/// metadata before its items. Source: k8s.io/apimachinery, `pkg/runtime/serializer/protobuf/protobuf.go` and
/// `collections.go`.
package struct ListStreamDecoder {
    private let resource: Resource
    private let limit: Int
    private var unread = UnreadBytes()
    /// How many bytes of the list were not read; nil: it has not begun.
    private var remaining: Int?

    /// Whether all of the list was read. A body that ends before was cut.
    package var isComplete: Bool { remaining == 0 }

    /// - Parameters:
    ///   - resource: of the objects.
    ///   - limit: the longest field, so that a broken length does not make us wait for gigabytes.
    package init(resource: Resource, limit: Int = WatchFrameDecoder.defaultLimit) {
        self.resource = resource
        self.limit = limit
    }

    /// Takes the next bytes of the body, cut anywhere.
    package mutating func append(_ bytes: [UInt8]) {
        unread.append(bytes)
    }

    /// Reads the next complete field of the list; nil needs more bytes, or the list is complete. Any XList has its metadata
    /// in field 1, its items in field 2.
    ///
    /// - Parameter read: is given the field's number and content.
    /// - Throws: what `read` throws, and where the bytes are no such list, after which nothing can be read.
    package mutating func next<Value>(
        _ read: (_ number: Int, Span<UInt8>) throws(WireError) -> Value
    ) throws(WireError) -> Value? {
        guard let remaining = try remainingOfList(), let head = try head(at: unread.start) else { return nil }
        guard head.content.upperBound - unread.start <= remaining else {
            throw WireError(message: "a list with a field that is longer than the list")
        }
        guard head.content.upperBound <= unread.bytes.count else { return nil }
        self.remaining = remaining - (head.content.upperBound - unread.start)
        unread.start = head.content.upperBound
        return try read(head.number, unread.bytes.span.extracting(head.content))
    }

    /// Reads the envelope up to the list. nil needs more bytes, or all was read.
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

    /// The tag and the length at a position, all of whose fields hold bytes; nil needs more bytes.
    private func head(
        at position: Int,
        isBounded: Bool = true
    ) throws(WireError) -> (number: Int, content: Range<Int>)? {
        var position = position
        guard let tag = try varint(at: &position), let length = try varint(at: &position) else { return nil }
        guard tag & 7 == 2, tag >> 3 > 0, length <= Int32.max else {
            throw WireError(message: "bytes that are no list")
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
        throw WireError(message: "bytes that are no list")
    }

    private func tooLong(_ length: Int) -> WireError {
        WireError(message: "a list with a field of \(length) bytes, more than the limit of \(limit)")
    }
}
