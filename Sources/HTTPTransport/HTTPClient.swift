// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Synchronization

/// An HTTP client over libcurl: HTTP/1.1, a connection for each request under way, kept for the next.
///
/// Not HTTP/2: libcurl 7.88 (Debian 12) starts requests on a connection whose server has said GOAWAY, where they wait for
/// ever, keeps up to 64 MiB of a paused stream in memory and then fails it, and reports the server that a stream was given
/// up when it next has something to send. All were seen.
///
/// Owns a thread until ``shutdown()``, or until the last reference to the client is released; transfers in progress end then.
/// Everything may be called from every task, and any number of requests may run at the same time. Redirects are not
/// followed: a token stays where it was sent.
package final class HTTPClient: Sendable {
    /// What all requests of a client share.
    package struct Configuration: Sendable {
        /// Whom to trust.
        package var tls: TLSConfiguration
        /// The proxy for all servers; nil: none. The environment is for the caller to read, see ``ProxySettings``.
        package var proxy: ProxyURL?
        /// The `User-Agent` header.
        package var userAgent: String

        /// A configuration.
        package init(tls: TLSConfiguration = TLSConfiguration(), proxy: ProxyURL? = nil, userAgent: String) {
            self.tls = tls
            self.proxy = proxy
            self.userAgent = userAgent
        }
    }

    private let loop: CurlEventLoop

    /// A client without a connection.
    ///
    /// - Throws: TLS, where there is no certificate among the authorities, or the client certificate or its key cannot be
    ///   used; Transport, when libcurl cannot be initialised.
    package init(configuration: Configuration) throws(HTTPError) {
        loop = try CurlEventLoop(configuration: configuration)
    }

    deinit {
        loop.beginShutdown()
    }

    /// Sends a request and returns when its response is there, see ``HTTPRequest/Delivery``.
    ///
    /// - Throws: ``HTTPError``; no status is an error. On cancellation, Cancelled, and the transfer ends.
    package func execute(_ request: HTTPRequest) async throws(HTTPError) -> HTTPResponse {
        let transfer = Transfer(request: request, loop: loop)
        let head = try await transfer.start()
        return HTTPResponse(head, body: HTTPBody(transfer))
    }

    /// From the next request on, connections are made with `tls`; those that were made with something else are not used
    /// again. Requests under way go on.
    ///
    /// That libcurl uses a connection again only for the same certificate and the same authorities:
    /// [`Curl_ssl_config_matches`](https://github.com/curl/curl/blob/curl-7_88_1/lib/vtls/vtls.c), which compares
    /// `cert_blob` and `ca_info_blob`, not the key; a certificate names its key.
    ///
    /// - Parameter tls: with the same server name as before.
    package func use(_ tls: TLSConfiguration) {
        loop.send(.use(tls))
    }

    /// Ends the transfers under way with Shutdown and returns when all is freed. May be called more than once.
    package func shutdown() async {
        loop.beginShutdown()
        await loop.ended()
    }
}
