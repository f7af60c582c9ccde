// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HTTPTransport
import HealthMonitorTestKit

/// Runs `body` with a client.
@discardableResult
func withClient<R>(
    tls: TLSConfiguration = TLSConfiguration(),
    proxy: ProxyURL? = nil,
    connectTimeout: Duration = .seconds(3600),
    _ body: (HTTPClient) async throws -> R
) async throws -> R {
    let client = try HTTPClient(
        configuration: .init(tls: tls, proxy: proxy, userAgent: "test/1", connectTimeout: connectTimeout)
    )
    do {
        let result = try await body(client)
        await client.shutdown()
        return result
    } catch {
        await client.shutdown()
        throw error
    }
}

/// Runs `body` with a server and a client.
@discardableResult
func withPlainServer<R: Sendable>(
    _ handler: @escaping TestHTTPServer.Handler,
    _ body: (HTTPClient, _ url: String) async throws -> R
) async throws -> R {
    try await TestHTTPServer.withServer(handler: handler) { server in
        try await withClient { client in try await body(client, server.url) }
    }
}

/// Runs `body` with a TLS server and a client that trusts it.
@discardableResult
func withTLSServer<R: Sendable>(
    _ handler: @escaping TestHTTPServer.Handler,
    _ body: (HTTPClient, _ url: String) async throws -> R
) async throws -> R {
    let authority = try TestCertificateAuthority()
    let configuration = TestHTTPServer.Configuration(identity: try authority.issueServer(names: ["127.0.0.1"]))
    return try await TestHTTPServer.withServer(configuration, handler: handler) { server in
        try await withClient(tls: authority.trust) { client in try await body(client, server.url) }
    }
}

/// The status that a client with TLS configuration `tls` receives from a server.
func status(
    of configuration: TestHTTPServer.Configuration,
    _ tls: TLSConfiguration
) async throws -> Result<Int, HTTPError> {
    try await TestHTTPServer.withServer(configuration) { _ in
        TestHTTPResponse()
    } _: { server in
        try await withClient(tls: tls) { client in
            do throws(HTTPError) {
                return .success(try await client.execute(HTTPRequest(url: server.url)).status)
            } catch {
                return .failure(error)
            }
        }
    }
}

extension TestCertificateAuthority {
    /// Trusts this authority only.
    var trust: TLSConfiguration {
        TLSConfiguration(certificateAuthorities: Array(certificatePEM.utf8))
    }
}

extension TLSConfiguration.ClientCertificate {
    init(_ identity: TestIdentity) {
        self.init(certificate: Array(identity.certificatePEM.utf8), privateKey: Array(identity.privateKeyPEM.utf8))
    }
}

/// Returns on cancellation.
func forever() async {
    let (stream, continuation) = AsyncStream.makeStream(of: Never.self)
    for await _ in stream {}
    continuation.finish()
}
