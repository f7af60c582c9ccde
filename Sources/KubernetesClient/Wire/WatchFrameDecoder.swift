// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// Splits the body of a watch into frames: each is a big-endian length of four bytes, and that many bytes.
///
/// Source: k8s.io/apimachinery, `pkg/util/framer`.
package struct WatchFrameDecoder {
    /// In bytes: twice the maximum size of an object that the API server accepts.
    package static let defaultLimit = 6 << 20

    private let limit: Int
    private var unread = UnreadBytes()

    /// - Parameter limit: the maximum length of a frame. It bounds the memory that an invalid length can cost.
    package init(limit: Int = WatchFrameDecoder.defaultLimit) {
        self.limit = limit
    }

    /// Whether a frame has begun that is not complete. A body that ends then was truncated.
    package var isWithinFrame: Bool { !unread.isEmpty }

    /// Appends the next bytes of the body, split anywhere.
    package mutating func append(_ bytes: [UInt8]) {
        unread.append(bytes)
    }

    /// Decodes the next complete frame; nil if more bytes are needed.
    ///
    /// - Parameter read: decodes the frame's bytes.
    /// - Throws: an error of `read`, or for a frame beyond the limit, after which the decoder is unusable.
    package mutating func next<Frame>(
        _ read: (Span<UInt8>) throws(WireError) -> Frame
    ) throws(WireError) -> Frame? {
        let body = unread.start + 4
        guard body <= unread.bytes.count else { return nil }
        let length = unread.bytes[unread.start..<body].reduce(0) { $0 << 8 | Int($1) }
        guard length <= limit else {
            throw WireError(message: "a watch frame has \(length) bytes, more than the limit of \(limit)")
        }
        guard length <= unread.bytes.count - body else { return nil }
        unread.start = body + length
        return try read(unread.bytes.span.extracting(body..<unread.start))
    }
}

/// The bytes of a body that have arrived. Decoded bytes are removed when the next ones are appended.
struct UnreadBytes {
    private(set) var bytes: [UInt8] = []
    /// The offset of the first byte that is not decoded.
    var start = 0

    var isEmpty: Bool { start == bytes.count }

    /// Appends the next bytes of the body, split anywhere.
    mutating func append(_ more: [UInt8]) {
        if isEmpty {
            bytes = more
        } else {
            bytes.removeFirst(start)
            bytes.append(contentsOf: more)
        }
        start = 0
    }
}
