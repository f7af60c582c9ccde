// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// A request as a test's handler sees it, its body complete.
package struct TestHTTPRequest: Sendable {
    /// `GET`, `POST`, ...
    package var method: String
    /// As it was sent, without the query.
    package var path: String
    /// Names and values, decoded.
    package var query: [(name: String, value: String)]
    /// In their order.
    package var headers: [(name: String, value: String)]
    /// At most 16 MiB; a request with more is cut off and no handler sees it.
    package var body: [UInt8]
    /// Whether it came over HTTP/2.
    package var isHTTP2: Bool
    /// The common name of the client's certificate; nil when the client was not asked for one.
    package var peerCommonName: String?

    /// The first header of this name, which is compared without regard to case.
    package func header(_ name: String) -> String? {
        headers.first { $0.name.lowercased() == name.lowercased() }?.value
    }
}

/// A handler's answer.
package struct TestHTTPResponse: Sendable {
    /// The body of a response.
    package enum Body: Sendable {
        /// All at once.
        case bytes([UInt8])
        /// Written piece by piece; the task is cancelled when the client is gone.
        case stream(@Sendable (TestHTTPBodyWriter) async throws -> Void)
    }

    /// Any status from 200 on.
    package var status: Int
    /// To be sent beside those that HTTP itself needs. With `Connection: close` the connection ends with the response;
    /// over HTTP/2 as Go's net/http does it, by GOAWAY.
    package var headers: [String: String]
    /// The body.
    package var body: Body

    /// An answer.
    package init(status: Int = 200, headers: [String: String] = [:], body: Body) {
        self.status = status
        self.headers = headers
        self.body = body
    }

    /// An answer whose body is there already.
    package init(status: Int = 200, headers: [String: String] = [:], bytes: [UInt8] = []) {
        self.init(status: status, headers: headers, body: .bytes(bytes))
    }
}

/// Writes a body piece by piece.
package struct TestHTTPBodyWriter: Sendable {
    let send: @Sendable ([UInt8]) async throws -> Void

    /// Returns when the bytes are on their way; suspends while the client does not read.
    ///
    /// - Throws: when the client is gone.
    package func write(_ bytes: [UInt8]) async throws {
        try await send(bytes)
    }
}
