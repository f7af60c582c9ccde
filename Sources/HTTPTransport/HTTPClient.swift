// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// An HTTP client over libcurl: HTTP/1.1 and HTTP/2, connections kept and shared.
///
/// Owns two threads until ``shutdown()``, or until nobody refers to the client any more; transfers under way end then.
/// Everything may be called from every task, and any number of requests may run at the same time. Redirects are not
/// followed: a token stays where it was sent.
public final class HTTPClient: Sendable {
    /// What all requests of a client share.
    public struct Configuration: Sendable {
        /// Whom to trust.
        public var tls: TLSConfiguration
        /// The proxy's URL; nil takes the environment's, as libcurl does (`HTTPS_PROXY`, `NO_PROXY`).
        public var proxy: String?
        /// The `User-Agent` header.
        public var userAgent: String

        /// A configuration.
        public init(tls: TLSConfiguration = TLSConfiguration(), proxy: String? = nil, userAgent: String) {
            self.tls = tls
            self.proxy = proxy
            self.userAgent = userAgent
        }
    }

    /// Two loops, because connections must not be shared between the two deliveries: libcurl 7.88 may give an HTTP/1.1
    /// connection that is in use to a second request when it knows that the server speaks HTTP/2.
    private let buffered: TransferLoop
    private let streamed: TransferLoop

    /// A client without a connection.
    ///
    /// - Throws: Transport, when libcurl cannot be initialised.
    public init(configuration: Configuration) throws(HTTPError) {
        buffered = try TransferLoop(configuration: configuration)
        do throws(HTTPError) {
            streamed = try TransferLoop(configuration: configuration)
        } catch {
            buffered.beginShutdown()
            throw error
        }
    }

    deinit {
        beginShutdown()
    }

    /// Sends a request and returns when the head of its response is there; the body follows.
    ///
    /// - Throws: ``HTTPError``; no status is an error. On cancellation, Cancelled, and the transfer ends.
    public func execute(_ request: HTTPRequest) async throws(HTTPError) -> HTTPResponse {
        let loop =
            switch request.delivery {
            case .buffered: buffered
            case .streamed: streamed
            }
        let transfer = Transfer(request: request, loop: loop)
        let head = try await transfer.start()
        return HTTPResponse(
            status: head.status,
            headers: head.headers,
            isHTTP2: head.isHTTP2,
            body: HTTPBody(transfer)
        )
    }

    /// Ends the transfers under way with Shutdown and returns when all is freed. May be called more than once.
    public func shutdown() async {
        beginShutdown()
        await buffered.ended()
        await streamed.ended()
    }

    private func beginShutdown() {
        buffered.beginShutdown()
        streamed.beginShutdown()
    }
}
