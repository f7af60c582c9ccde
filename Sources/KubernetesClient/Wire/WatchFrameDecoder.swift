// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// Cuts the body of a watch into its frames: each a length of four bytes, big-endian, and as many bytes.
///
/// Source: k8s.io/apimachinery, `pkg/util/framer`.
package struct WatchFrameDecoder {
    /// Twice what the API server takes for one object.
    package static let defaultLimit = 6 << 20

    private let limit: Int
    private var unread = UnreadBytes()

    /// - Parameter limit: the longest frame, so that a broken length does not make us wait for gigabytes.
    package init(limit: Int = WatchFrameDecoder.defaultLimit) {
        self.limit = limit
    }

    /// Whether a frame has begun that is not complete: true where a body ends says that it was cut.
    package var isWithinFrame: Bool { !unread.isEmpty }

    /// Takes the next bytes of the body, cut anywhere.
    package mutating func append(_ bytes: [UInt8]) {
        unread.append(bytes)
    }

    /// Reads the next complete frame; nil needs more bytes.
    ///
    /// - Parameter read: is given the frame's bytes.
    /// - Throws: what `read` throws, and for a frame beyond the limit, after which nothing can be read.
    package mutating func next<Frame>(
        _ read: (Span<UInt8>) throws(WireError) -> Frame
    ) throws(WireError) -> Frame? {
        let body = unread.start + 4
        guard body <= unread.bytes.count else { return nil }
        let length = unread.bytes[unread.start..<body].reduce(0) { $0 << 8 | Int($1) }
        guard length <= limit else {
            throw WireError(message: "a watch frame of \(length) bytes, more than the limit of \(limit)")
        }
        guard length <= unread.bytes.count - body else { return nil }
        unread.start = body + length
        return try read(unread.bytes.span.extracting(body..<unread.start))
    }
}
