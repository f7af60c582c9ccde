// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// A request as a test's handler sees it, its body complete.
package struct TestHTTPRequest: Sendable {
    /// `GET`, `POST`, ...
    package var method: String
    /// As sent, without the query.
    package var path: String
    /// Decoded.
    package var query: [(name: String, value: String)]
    package var headers: [(name: String, value: String)]
    /// At most 16 MiB; the connection of a longer request is closed.
    package var body: [UInt8]
    package var isHTTP2: Bool
    /// The common name of the client's certificate; nil without one. A server with an authority for clients requires
    /// one, others do not request it.
    package var peerCommonName: String?

    /// The first header of this name; names are case-insensitive.
    package func header(_ name: String) -> String? {
        headers.first { $0.name.lowercased() == name.lowercased() }?.value
    }
}

/// A handler's response.
package struct TestHTTPResponse: Sendable {
    package enum Body: Sendable {
        case bytes([UInt8])
        /// Written in pieces; the task is cancelled when the client is gone.
        case stream(@Sendable (TestHTTPBodyWriter) async throws -> Void)
    }

    /// At least 200: the final response.
    package var status: Int
    /// In addition to Content-Length, which is set where the body is bytes. `Connection: close` closes the connection
    /// after the response; over HTTP/2 it sends GOAWAY instead, as Go's net/http does.
    package var headers: [String: String]
    package var body: Body

    package init(status: Int = 200, headers: [String: String] = [:], body: Body) {
        self.status = status
        self.headers = headers
        self.body = body
    }

    package init(status: Int = 200, headers: [String: String] = [:], bytes: [UInt8] = []) {
        self.init(status: status, headers: headers, body: .bytes(bytes))
    }
}

/// Writes a body in pieces.
package struct TestHTTPBodyWriter: Sendable {
    let send: @Sendable ([UInt8]) async throws -> Void

    /// Writes the bytes to the socket; suspends while the client does not read.
    ///
    /// - Throws: when the client is gone.
    package func write(_ bytes: [UInt8]) async throws {
        try await send(bytes)
    }
}
