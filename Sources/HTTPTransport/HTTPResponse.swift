// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// A response; the body of a streamed one may still be on its way.
package struct HTTPResponse: Sendable {
    /// Any status from 200 on; none of them is an error here.
    package let status: Int
    /// The body. Read it, or drop the response to cancel the rest of it.
    package let body: HTTPBody
    private let headerLines: [UInt8]

    init(_ head: Transfer.Head, body: HTTPBody) {
        status = head.status
        headerLines = head.lines
        self.body = body
    }

    /// What the server sent before the body; read anew whenever it is asked for, as few responses' headers ever are.
    package var headers: HTTPHeaders { HTTPHeaders(lines: headerLines) }
}

/// The body of a response, piece by piece as it arrives.
///
/// Single pass: one iterator at a time, and what it has read is gone. When the body and its iterators are dropped before
/// the end, the transfer is cancelled.
package struct HTTPBody: AsyncSequence, Sendable {
    /// From so many unread bytes of a streamed body on, the server has to wait.
    static let highWaterMark = 256 << 10
    /// From so many unread bytes of a buffered body on, the transfer fails.
    static let bufferLimit = 256 << 20

    /// Cancels the transfer when nobody can read it any more.
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

    /// How long the server may be silent (``HTTPRequest/Timeouts/idle``), from its last byte on. A shorter time takes
    /// effect within a minute, or when the server sends something.
    package var idleTimeout: Duration? {
        get { reader.transfer.idleTimeout }
        nonmutating set { reader.transfer.idleTimeout = newValue }
    }

    /// A reader. One at a time.
    package func makeAsyncIterator() -> Iterator {
        Iterator(reader: reader)
    }

    /// Reads piece by piece.
    package struct Iterator: AsyncIteratorProtocol {
        private let reader: Reader

        fileprivate init(reader: Reader) {
            self.reader = reader
        }

        /// The next bytes, at least one; nil at the end.
        ///
        /// - Throws: what broke the transfer; Cancelled when the task was cancelled, which ends the transfer.
        package mutating func next() async throws(HTTPError) -> [UInt8]? {
            try await reader.transfer.nextChunk()
        }
    }

    /// The whole body.
    ///
    /// - Throws: as the iterator does; BodyTooLarge as soon as there are more than `limit` bytes.
    package func collect(upTo limit: Int) async throws(HTTPError) -> [UInt8] {
        var bytes: [UInt8] = []
        var iterator = makeAsyncIterator()
        while let chunk = try await iterator.next() {
            guard bytes.count + chunk.count <= limit else {
                throw HTTPError(code: .bodyTooLarge, message: "the body has more than \(limit) bytes")
            }
            bytes += chunk
        }
        return bytes
    }

    /// The beginning of the body, up to `limit` bytes, or all of it. Nothing behind that is kept.
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
