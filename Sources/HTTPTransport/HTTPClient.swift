// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// An HTTP client over libcurl. HTTP/1.1 only: docs/decisions/0006-http-1.1.md. Each request in flight has a connection
/// of its own, which is kept for later ones.
///
/// Owns a thread. The thread ends, and transfers in flight fail, at ``shutdown()`` or when the client is released. All
/// methods may be called concurrently. Redirects are not followed: a token goes only to the server that it is for.
package final class HTTPClient: Sendable {
    /// What all requests of a client share.
    package struct Configuration: Sendable {
        package var tls: TLSConfiguration
        /// The proxy for all servers; nil connects directly. The environment is not read, see ``ProxySettings``.
        package var proxy: ProxyURL?
        /// The `User-Agent` header.
        package var userAgent: String
        /// Until a connection is established, TLS included.
        package var connectTimeout: Duration

        package init(
            tls: TLSConfiguration = TLSConfiguration(),
            proxy: ProxyURL? = nil,
            userAgent: String,
            connectTimeout: Duration = .seconds(10)
        ) {
            self.tls = tls
            self.proxy = proxy
            self.userAgent = userAgent
            self.connectTimeout = connectTimeout
        }
    }

    private let loop: CurlEventLoop

    /// Starts the thread; connects to nothing.
    ///
    /// - Throws: Code.tls, when there is no certificate among the authorities, or the client certificate or its key
    ///   cannot be used; Code.transport, when libcurl cannot be initialised.
    package init(configuration: Configuration) throws(HTTPError) {
        loop = try CurlEventLoop(configuration: configuration)
    }

    deinit {
        loop.beginShutdown()
    }

    /// Sends a request and waits for its response, see ``HTTPRequest/Delivery``. Any status is a response.
    ///
    /// Cancelling the task ends the transfer with Code.cancelled. libcurl sends a request again when the kept
    /// connection that it was sent on turns out to be closed.
    package func execute(_ request: HTTPRequest) async throws(HTTPError) -> HTTPResponse {
        let transfer = Transfer(request: request, loop: loop)
        let head = try await transfer.start()
        return HTTPResponse(head, body: HTTPBody(transfer))
    }

    /// Uses `tls` for all later requests; connections made with another configuration serve none of them. Requests in
    /// flight continue. A configuration that cannot be used is ignored, without an error: look at
    /// ``TLSConfiguration/problem`` first.
    ///
    /// libcurl reuses a connection only with the same client certificate and authorities: see
    /// [`Curl_ssl_config_matches`](https://github.com/curl/curl/blob/curl-7_88_1/lib/vtls/vtls.c), which compares
    /// `cert_blob` and `ca_info_blob`. It does not compare the key, which the certificate determines.
    ///
    /// - Parameter tls: must have the server name of the configuration before it.
    package func use(_ tls: TLSConfiguration) {
        loop.send(.use(tls))
    }

    /// Ends the transfers in flight with Code.shutdown and returns when everything is freed. May be called more than
    /// once.
    package func shutdown() async {
        loop.beginShutdown()
        await loop.ended()
    }
}
