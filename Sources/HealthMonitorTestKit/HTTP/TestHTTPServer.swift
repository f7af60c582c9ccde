// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// An HTTP server for tests, on 127.0.0.1: plain HTTP/1.1, or TLS with HTTP/2 and HTTP/1.1 as the client chooses.
package struct TestHTTPServer: Sendable {
    /// Answers a request; to throw cuts the connection, or the stream of an HTTP/2 connection.
    ///
    /// Each request has a task of its own, which is cancelled when the client is gone or the server ends.
    package typealias Handler = @Sendable (TestHTTPRequest) async throws -> TestHTTPResponse

    /// How a server listens.
    package struct Configuration: Sendable {
        /// The server's certificate; nil: plain HTTP.
        package var identity: TestIdentity?
        /// When set, clients must show a certificate of this authority.
        package var clientAuthority: TestCertificateAuthority?
        /// 0: any free one.
        package var port: Int
        /// Whether it speaks no TLS that is not outdated: 1.1 at most.
        package var isOutdated = false

        /// By default plain HTTP on a free port.
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

    /// The port that it listens on.
    package let port: Int
    /// `https://127.0.0.1:PORT`, or `http://...`
    package let url: String
    private let listener: HTTPListener

    /// Runs a server for as long as `body` runs. Requests under way are cancelled with it, and have ended when this
    /// returns.
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

    /// How many connections clients have made so far.
    package var acceptedConnections: Int { listener.acceptedConnections }

    // MARK: Faults

    /// Refuses connections from now on and cuts those that are open.
    package func stopListening() async {
        await listener.close()
    }

    /// Listens again, on the same port.
    package func listenAgain() async throws {
        _ = try await listener.open()
    }

    /// Shows another certificate from now on; open connections are cut.
    package func present(_ identity: TestIdentity) async throws {
        try listener.present(identity)
        await listener.cutConnections()
    }

    /// Whether new connections are cut in the middle of the TLS handshake; open ones are cut when it becomes so.
    package func breakHandshakes(_ areBroken: Bool) async {
        listener.breaksHandshakes = areBroken
        if areBroken { await listener.cutConnections() }
    }

    /// Cuts all connections; new ones are welcome.
    package func cutConnections() async {
        await listener.cutConnections()
    }
}
