// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// An HTTP server for tests on 127.0.0.1: plain HTTP/1.1, or TLS with HTTP/2 and HTTP/1.1.
package struct TestHTTPServer: Sendable {
    /// Handles a request. When it throws, the connection or the HTTP/2 stream is cut.
    ///
    /// Each request has its own task, which is cancelled when the client is gone or the server ends.
    package typealias Handler = @Sendable (TestHTTPRequest) async throws -> TestHTTPResponse

    package struct Configuration: Sendable {
        /// The server's certificate; nil for plain HTTP.
        package var identity: TestIdentity?
        /// When set, clients must present a certificate of this authority.
        package var clientAuthority: TestCertificateAuthority?
        /// 0 chooses a free one.
        package var port: Int
        /// Whether it supports at most TLS 1.1.
        package var isOutdated = false

        package init(
            identity: TestIdentity? = nil,
            clientAuthority: TestCertificateAuthority? = nil,
            port: Int = 0
        ) {
            self.identity = identity
            self.clientAuthority = clientAuthority
            self.port = port
        }
    }

    package let port: Int
    /// `https://127.0.0.1:PORT`, or `http://...`
    package let url: String
    private let listener: HTTPListener

    /// Runs a server for as long as `body` runs. Requests in flight are cancelled, and have ended when this returns.
    package static func withServer<Result: Sendable>(
        _ configuration: Configuration = Configuration(),
        handler: @escaping Handler,
        _ body: (TestHTTPServer) async throws -> Result
    ) async throws -> Result {
        let listener = try HTTPListener(configuration, handler: handler)
        let port = try await listener.open()
        let scheme = configuration.identity == nil ? "http" : "https"
        let server = TestHTTPServer(port: port, url: "\(scheme)://127.0.0.1:\(port)", listener: listener)
        let result: Swift.Result<Result, any Error>
        do {
            result = .success(try await body(server))
        } catch {
            result = .failure(error)
        }
        await listener.closeForGood()
        return try result.get()
    }

    /// How many connections were accepted so far.
    package var acceptedConnections: Int { listener.acceptedConnections }

    // MARK: Faults

    /// Refuses connections from now on and cuts the open ones.
    package func stopListening() async {
        await listener.close()
    }

    /// Listens again, on the same port.
    package func listenAgain() async throws {
        _ = try await listener.open()
    }

    /// Presents another certificate from now on; open connections are cut.
    package func present(_ identity: TestIdentity) async throws {
        try listener.present(identity)
        await listener.cutConnections()
    }

    /// Sets whether new connections are cut in the TLS handshake; setting it cuts the open ones.
    package func breakHandshakes(_ areBroken: Bool) async {
        listener.breaksHandshakes = areBroken
        if areBroken { await listener.cutConnections() }
    }

    /// Cuts all connections; new ones are accepted.
    package func cutConnections() async {
        await listener.cutConnections()
    }
}
