// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// A response. The body of a streamed one may still be arriving.
package struct HTTPResponse: Sendable {
    /// 200 or more.
    package let status: Int
    /// To be read; releasing the response cancels the rest of it.
    package let body: HTTPBody
    private let headerLines: [UInt8]

    init(_ head: Transfer.Head, body: HTTPBody) {
        status = head.status
        headerLines = head.lines
        self.body = body
    }

    /// Parsed on each access: the headers of most responses are never read.
    package var headers: HTTPHeaders { HTTPHeaders(lines: headerLines) }
}

/// The body of a response, in chunks as it arrives.
///
/// Single pass: one iterator at a time, and what it has read is gone. The transfer is cancelled when the body and its
/// iterators are released before the end.
package struct HTTPBody: AsyncSequence, Sendable {
    /// With this many unread bytes of a streamed body, the server has to wait.
    static let highWaterMark = 256 << 10
    /// With this many bytes of a buffered body, the transfer fails when more arrive. A body takes twice its size while
    /// it is collected, and the process has 128 MiB in all (`manifests/agent`).
    static let bufferLimit = 16 << 20

    /// Cancels the transfer when the last reference to it is released.
    fileprivate final class Reader: Sendable {
        let transfer: Transfer

        init(_ transfer: Transfer) {
            self.transfer = transfer
        }

        deinit {
            transfer.cancel()
        }
    }

    private let reader: Reader

    init(_ transfer: Transfer) {
        reader = Reader(transfer)
    }

    /// How long the server may be silent (``HTTPRequest/Timeouts/idle``), counted from its last byte. A shorter time
    /// takes effect within a minute, or when the server sends something.
    package var idleTimeout: Duration? {
        get { reader.transfer.idleTimeout }
        nonmutating set { reader.transfer.idleTimeout = newValue }
    }

    /// One at a time.
    package func makeAsyncIterator() -> Iterator {
        Iterator(reader: reader)
    }

    package struct Iterator: AsyncIteratorProtocol {
        private let reader: Reader

        fileprivate init(reader: Reader) {
            self.reader = reader
        }

        /// The next bytes, at least one; nil at the end.
        ///
        /// - Throws: the error that ended the transfer; Code.cancelled on cancellation, which ends it.
        package mutating func next() async throws(HTTPError) -> [UInt8]? {
            try await reader.transfer.nextChunk()
        }
    }

    /// The whole body.
    ///
    /// - Throws: as the iterator does; Code.bodyTooLarge as soon as there are more than `limit` bytes.
    package func collect(upTo limit: Int) async throws(HTTPError) -> [UInt8] {
        var bytes: [UInt8] = []
        // All of a buffered body. An array that grows as it is filled would have up to twice its size, and be copied.
        bytes.reserveCapacity(Swift.min(limit, reader.transfer.bufferedBytes))
        var iterator = makeAsyncIterator()
        while let chunk = try await iterator.next() {
            guard bytes.count + chunk.count <= limit else {
                throw HTTPError(code: .bodyTooLarge, message: "the body has more than \(limit) bytes")
            }
            bytes += chunk
        }
        return bytes
    }

    /// The first `limit` bytes of the body, or all of a shorter one.
    ///
    /// - Throws: as the iterator does.
    package func beginning(upTo limit: Int) async throws(HTTPError) -> [UInt8] {
        var bytes: [UInt8] = []
        var iterator = makeAsyncIterator()
        while bytes.count < limit, let chunk = try await iterator.next() {
            bytes += chunk.prefix(limit - bytes.count)
        }
        return bytes
    }
}
