// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import FoundationEssentials
import HTTPTransport
import KubernetesAPI
package import Logging
import Synchronization

/// A client of one API server: objects and watches in protobuf, over HTTP/1.1.
///
/// Safe for concurrent calls. Cancelling the task ends a call with `cancelled`. A request is sent again, once, only if
/// its token or its connection was rejected, and the credential files or the credential plugin have others by then. All
/// other retries are up to the caller.
///
/// Requests are logged at the `trace` level: method, path, status, duration. Bodies and tokens are never logged.
package final class KubernetesClient: Sendable {
    /// A finished request, for metrics.
    package struct RequestObservation: Sendable {
        package var request: RequestInfo
        /// nil without a response.
        package var httpStatus: Int?
        /// From sending to the end of the response; for a watch, to its beginning. Waiting for the rate limit is not
        /// included.
        package var duration: Duration
        /// The HTTP method: `PATCH`.
        package var method: String
        /// The API server's host, with the port if its URL has one: `10.96.0.1:443`.
        package var host: String
        /// Whether the request was forbidden because an RBAC rule is missing.
        package var lacksRule = false

        /// The RBAC rule that allows the request, as YAML for a Role.
        package var rbacRule: String { request.rbacRule }
        /// `patch`
        package var verb: String { request.verb.rawValue }
        /// `persistentvolumeclaims/status`
        package var resource: String { request.plural }
        /// The HTTP status; `<error>` without a response, as in client-go's `rest_client_requests_total`.
        package var code: String { httpStatus.map(String.init) ?? "<error>" }
    }

    let clock: any Clock<Duration>
    /// Monotonic time, as token bucket, credentials and watches take it.
    let now: @Sendable () -> Duration
    private let logger: Logger
    private let server: String
    private let host: String
    private let http: HTTPClient
    private let credentials: ClientCredentials
    let requestTimeout: Duration
    /// nil without a rate limit. No lock of this class is held while another one is taken.
    private let tokenBucket: Mutex<TokenBucket>?
    private let observer: @Sendable (RequestObservation) -> Void
    private let skippedObject: @Sendable (UndecodableObject) -> Void
    /// The resources of which an undecodable object was logged.
    private let undecodableResources = Mutex<Set<String>>([])

    /// Prepares a client; nothing is sent before the first call.
    ///
    /// - Parameters:
    ///   - configuration: where the server is and how to authenticate.
    ///   - userAgent: the User-Agent header, which the server's audit log shows.
    ///   - rateLimit: applies to all requests except watches, as in client-go; nil for no limit.
    ///   - connectTimeout: for each connection, TLS included.
    ///   - requestTimeout: for each request, from sending to the end of the response. A watch or a streamed list fails
    ///     when nothing is received for so long before its list is complete.
    ///   - clock: measures requests, and the delays of the rate limit and of watchers.
    ///   - observer: is called after every request, in the caller's task.
    ///   - skippedObject: is called for every object that a list or a watch skips, in the task that iterates.
    /// - Throws: `invalid` if a certificate or a key of the configuration is not usable.
    package init(
        configuration: KubernetesConfiguration,
        userAgent: String,
        rateLimit: RateLimit?,
        connectTimeout: Duration = .seconds(10),
        requestTimeout: Duration = .seconds(60),
        logger: Logger,
        clock: any Clock<Duration> = ContinuousClock(),
        observer: @escaping @Sendable (RequestObservation) -> Void = { _ in },
        skippedObject: @escaping @Sendable (UndecodableObject) -> Void = { _ in }
    ) throws(KubernetesConfigurationError) {
        let now = clock.elapsedTime()
        self.clock = clock
        self.now = now
        self.logger = logger
        server = configuration.server
        host = URLAuthority.hostAndPort(configuration.server)
        self.requestTimeout = requestTimeout
        self.observer = observer
        self.skippedObject = skippedObject
        tokenBucket = rateLimit.map { Mutex(TokenBucket($0, now: now())) }
        let http: HTTPClient
        do {
            http = try HTTPClient(
                configuration: HTTPClient.Configuration(
                    tls: configuration.tls,
                    proxy: configuration.proxy,
                    userAgent: userAgent,
                    connectTimeout: connectTimeout
                )
            )
        } catch {
            throw KubernetesConfigurationError(
                code: .invalid,
                message: "cannot connect to \(configuration): \(error.message)"
            )
        }
        self.http = http
        let tls = TLSCredentials(configuration, now: now(), logger: logger) { http.use($0) }
        credentials = ClientCredentials(configuration, tls: tls, now: now, logger: logger)
    }

    /// Ends requests and watches in flight with `shutdown`, and closes the connections. A credential plugin that runs
    /// for this client is killed. Idempotent.
    package func shutdown() async {
        await credentials.shutdown()
        await http.shutdown()
    }
}

// MARK: - Requests

extension KubernetesClient {
    /// The parts of an HTTP request that ``RequestInfo`` does not determine.
    struct Content {
        var method = "GET"
        /// Not percent-encoded.
        var query: [(name: String, value: String)] = []
        var contentType: String?
        var body: [UInt8]?
        var accept = Envelope.mediaType
    }

    /// Sends a request, and returns the body of the response.
    func unary(_ info: RequestInfo, _ content: Content = Content()) async throws(KubernetesError) -> [UInt8] {
        try await response(info, content).body
    }

    /// Sends a request, and returns body and headers of the response.
    func response(
        _ info: RequestInfo,
        _ content: Content
    ) async throws(KubernetesError) -> (body: [UInt8], headers: HTTPHeaders) {
        try await waitForRateLimit(info)
        return try await observed(info, content) { () async throws(KubernetesError) in
            let timeouts = HTTPRequest.Timeouts(total: requestTimeout)
            let response = try await execute(info, content, timeouts, .buffered)
            do throws(HTTPError) {
                return ((try await response.body.collect(upTo: .max), response.headers), response.status)
            } catch {
                throw KubernetesError(error, request: info)
            }
        }
    }

    /// Sends a request, and returns its body as a stream. The stream fails after `idle` without a byte.
    func stream(_ info: RequestInfo, _ content: Content, idle: Duration) async throws(KubernetesError) -> HTTPBody {
        try await observed(info, content) { () async throws(KubernetesError) in
            let response = try await execute(info, content, HTTPRequest.Timeouts(idle: idle), .streamed)
            return (response.body, response.status)
        }
    }

    func waitForRateLimit(_ info: RequestInfo) async throws(KubernetesError) {
        guard let delay = tokenBucket?.withLock({ $0.take(now: now()) }), delay > .zero else { return }
        do {
            try await clock.sleep(for: delay)
        } catch {
            tokenBucket?.withLock { $0.giveBack() }
            throw .cancelled(info)
        }
    }

    /// Sends a request; once more, if its token or connection was rejected and there are other credentials. Returns
    /// successful responses only.
    private func execute(
        _ info: RequestInfo,
        _ content: Content,
        _ timeouts: HTTPRequest.Timeouts,
        _ delivery: HTTPRequest.Delivery
    ) async throws(KubernetesError) -> HTTPResponse {
        guard [info.namespace, info.name].allSatisfy({ $0.map { !["", ".", ".."].contains($0) } ?? true }) else {
            throw KubernetesError(code: .badRequest, message: "\(info): a name or a namespace is empty, . or ..")
        }
        var credentials = try await credentials(for: info)
        var mayResend = true
        while true {
            let response: HTTPResponse
            let body: [UInt8]
            do throws(HTTPError) {
                var request = request(info, content, token: credentials.token)
                request.timeouts = timeouts
                request.delivery = delivery
                response = try await http.execute(request)
                // The limit is for errors: their status is known even if the body is longer.
                body = response.status < 300 ? [] : try await response.body.beginning(upTo: 1 << 20)
            } catch {
                // A server that rejects a certificate may also close the connection without an alert. Then the request
                // may have been applied, and is not sent again.
                if mayResend, [.tls, .transport].contains(error.code),
                    let others = self.credentials.replacement(forConnectionOf: credentials), error.code == .tls
                {
                    (credentials, mayResend) = (others, false)
                    continue
                }
                throw KubernetesError(error, request: info)
            }
            if response.status < 300 {
                guard content.accept == Envelope.mediaType, let type = response.headers["Content-Type"],
                    !Envelope.isMediaType(type)
                else { return response }
                throw KubernetesError(contentType: type, httpStatus: response.status, request: info)
            }
            if mayResend, response.status == 401,
                let others = await self.credentials.replacement(for: credentials)
            {
                (credentials, mayResend) = (others, false)
                continue
            }
            throw KubernetesError(
                httpStatus: response.status,
                retryAfterHeader: response.headers["Retry-After"],
                body: body,
                request: info
            )
        }
    }

    private func credentials(for info: RequestInfo) async throws(KubernetesError) -> RequestCredentials {
        do {
            return try await credentials.current()
        } catch {
            if Task.isCancelled { throw .cancelled(info) }
            throw KubernetesError(
                code: credentials.isShutDown ? .shutdown : .unauthorized,
                message: "\(info): no credentials: \(error.message)",
                cause: error
            )
        }
    }

    private func request(_ info: RequestInfo, _ content: Content, token: String?) -> HTTPRequest {
        let query = content.query.map { "\($0.name)=\(percentEncoded($0.value))" }.joined(separator: "&")
        var headers: HTTPHeaders = ["Accept": content.accept]
        headers["Content-Type"] = content.contentType
        headers["Authorization"] = token.map { "Bearer \($0)" }
        return HTTPRequest(
            method: content.method,
            url: server + info.path + (query.isEmpty ? "" : "?\(query)"),
            headers: headers,
            body: content.body
        )
    }

    /// Measures and logs a request, and calls the observer.
    private func observed<Response>(
        _ info: RequestInfo,
        _ content: Content,
        _ body: () async throws(KubernetesError) -> (Response, status: Int)
    ) async throws(KubernetesError) -> Response {
        let start = now()
        do {
            let (response, status) = try await body()
            record(info, content, httpStatus: status, since: start)
            return response
        } catch {
            record(info, content, httpStatus: error.httpStatus, lacksRule: error.isMissingRule, since: start)
            throw error
        }
    }

    private func record(
        _ info: RequestInfo,
        _ content: Content,
        httpStatus: Int?,
        lacksRule: Bool = false,
        since start: Duration
    ) {
        let duration = now() - start
        logger.trace(
            "API request",
            metadata: [
                "method": "\(content.method)", "path": "\(info.path)",
                "status": httpStatus.map { .stringConvertible($0) } ?? "none", "duration": .stringConvertible(duration),
            ]
        )
        observer(
            RequestObservation(
                request: info,
                httpStatus: httpStatus,
                duration: duration,
                method: content.method,
                host: host,
                lacksRule: lacksRule
            )
        )
    }
}

// MARK: - Undecodable objects

extension KubernetesClient {
    /// Reports an object that a list or a watch skips, and logs the first of each resource.
    func skip(_ object: UndecodableObject) {
        skippedObject(object)
        guard undecodableResources.withLock({ $0.insert(object.resource).inserted }) else { return }
        logger.warning(
            "Skipped undecodable object, further objects of the resource are only counted",
            metadata: [
                "resource": "\(object.resource)",
                "object": ["namespace": "\(object.namespace)", "name": "\(object.name)"],
                "err": "\(object.error)",
            ]
        )
    }
}

// MARK: - Time

extension Clock where Duration == Swift.Duration {
    /// Measures the time from now on.
    ///
    /// For code that holds an `any Clock<Duration>`, whose instants cannot be subtracted.
    ///
    /// - Returns: a function that returns the time since this call.
    package func elapsedTime() -> @Sendable () -> Duration {
        let start = now
        return { start.duration(to: self.now) }
    }
}
