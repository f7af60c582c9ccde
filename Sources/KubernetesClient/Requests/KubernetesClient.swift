// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import FoundationEssentials
import HTTPTransport
import KubernetesAPI
package import Logging
import Synchronization

/// A client of one API server: objects and watches in protobuf, over HTTP/1.1.
///
/// All calls may run at the same time. Cancelling the task ends a call with a ``KubernetesError`` of the code
/// `cancelled`. Nothing is retried here but a request whose token or connection was refused, if the files of token,
/// certificates and keys hold others by then, or the credential plugin has others: what an error means, and when to try again, is for the caller to know.
///
/// Requests are logged at the `debug` level: method, path, status, duration. Bodies and tokens are never logged.
package final class KubernetesClient: Sendable {
    /// One request, as a metric counts it.
    package struct RequestObservation: Sendable {
        /// What the request was about.
        package var request: RequestInfo
        /// The HTTP status; nil where no answer came.
        package var httpStatus: Int?
        /// From sending to the end of the answer; of a watch, to the beginning of the answer. Waiting for a turn under
        /// the rate limit does not count.
        package var duration: Duration
        /// Of HTTP: `PATCH`.
        package var method: String
        /// Of the API server's URL, with the port where the URL has one: `10.96.0.1:443`.
        package var host: String
        /// The API server refused it because an RBAC rule is missing.
        package var lacksRule = false

        /// The rule that allows it, as it stands in a Role.
        package var rbacRule: String { request.rbacRule }
        /// The verb of the RBAC rule: `patch`.
        package var verb: String { request.verb.rawValue }
        /// The resource as RBAC has it: `persistentvolumeclaims/status`.
        package var resource: String { request.plural }
        /// The HTTP status in digits; `<error>` where no answer came, as client-go's `rest_client_requests_total` says.
        package var code: String { httpStatus.map(String.init) ?? "<error>" }
    }

    let timekeeper: Timekeeper
    private let logger: Logger
    private let server: String
    private let host: String
    private let http: HTTPClient
    private let bearerToken: BearerToken
    private let execCredentials: ExecCredentials?
    private let tlsCredentials: TLSCredentials
    private let requestTimeout: Duration
    private let tokenBucket: Mutex<TokenBucket>?
    private let observer: @Sendable (RequestObservation) -> Void
    private let skippedObject: @Sendable (UndecodableObject) -> Void
    /// Those of which an undecodable object was logged.
    private let undecodableResources = Mutex<Set<String>>([])

    /// Prepares a client; nothing is sent before the first call.
    ///
    /// - Parameters:
    ///   - configuration: where the server is and how to authenticate.
    ///   - userAgent: as the server's audit log shows it.
    ///   - rateLimit: for all requests but watches, as client-go has it; nil sends at once.
    ///   - requestTimeout: for one request but a watch, its whole answer included.
    ///   - logger: for one line about each request, at the `debug` level, a line when certificates and keys have
    ///     changed in their files, and warnings: about the first object of a resource that cannot be decoded, and about
    ///     files that have become unusable.
    ///   - clock: measures, and waits for the rate limit's turns and a watcher's delays.
    ///   - observer: called after every request, from the caller's task.
    ///   - skippedObject: called for every object that a list or a watch skips, from the task that iterates.
    /// - Throws: `invalid` where a certificate or a key of the configuration cannot be used.
    package init(
        configuration: KubernetesConfiguration,
        userAgent: String,
        rateLimit: RateLimit?,
        requestTimeout: Duration = .seconds(60),
        logger: Logger,
        clock: any Clock<Duration> = ContinuousClock(),
        observer: @escaping @Sendable (RequestObservation) -> Void = { _ in },
        skippedObject: @escaping @Sendable (UndecodableObject) -> Void = { _ in }
    ) throws(KubernetesConfigurationError) {
        let timekeeper = Timekeeper(clock)
        self.timekeeper = timekeeper
        self.logger = logger
        server = configuration.server
        host = URLAuthority.hostAndPort(configuration.server)
        self.requestTimeout = requestTimeout
        self.observer = observer
        self.skippedObject = skippedObject
        bearerToken = BearerToken(configuration.credentials)
        execCredentials = if case .exec(let credentials) = configuration.credentials { credentials } else { nil }
        tokenBucket = rateLimit.map { Mutex(TokenBucket($0, now: timekeeper.now())) }
        let http: HTTPClient
        do {
            http = try HTTPClient(
                configuration: HTTPClient.Configuration(
                    tls: configuration.tls,
                    proxy: configuration.proxy,
                    userAgent: userAgent
                )
            )
        } catch {
            throw KubernetesConfigurationError(
                code: .invalid,
                message: "cannot set up connections to \(configuration): \(error.message)"
            )
        }
        self.http = http
        tlsCredentials = TLSCredentials(configuration, now: timekeeper.now(), logger: logger) { http.use($0) }
    }

    /// Ends requests and watches in flight with `shutdown` and closes the connections. May be called more than once.
    package func shutdown() async {
        await http.shutdown()
    }
}

// MARK: - Requests

extension KubernetesClient {
    /// What is sent, beside what it is about.
    struct Content {
        var method = "GET"
        /// Names and values, not yet escaped.
        var query: [(name: String, value: String)] = []
        var contentType: String?
        var body: [UInt8]?
        /// The media type of the answer.
        var accept = Envelope.mediaType
    }

    /// A request whose answer ends by itself.
    func unary(_ info: RequestInfo, _ content: Content = Content()) async throws(KubernetesError) -> [UInt8] {
        try await response(info, content).body
    }

    /// The same, with the response's headers.
    func response(
        _ info: RequestInfo,
        _ content: Content
    ) async throws(KubernetesError) -> (body: [UInt8], headers: HTTPHeaders) {
        try await turn(info)
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

    /// A request whose answer is read while it arrives, as a watch's is; it fails when nothing comes for `idle`.
    func stream(_ info: RequestInfo, _ content: Content, idle: Duration) async throws(KubernetesError) -> HTTPBody {
        try await observed(info, content) { () async throws(KubernetesError) in
            let response = try await execute(info, content, HTTPRequest.Timeouts(idle: idle), .streamed)
            return (response.body, response.status)
        }
    }

    /// Waits for the rate limit.
    func turn(_ info: RequestInfo) async throws(KubernetesError) {
        guard let delay = tokenBucket?.withLock({ $0.take(now: timekeeper.now()) }), delay > .zero else { return }
        do {
            try await timekeeper.sleep(delay)
        } catch {
            throw .cancelled(info)
        }
    }

    /// Sends, and again where the token or the connection was refused and there are others. Only success returns.
    private func execute(
        _ info: RequestInfo,
        _ content: Content,
        _ timeouts: HTTPRequest.Timeouts,
        _ delivery: HTTPRequest.Delivery
    ) async throws(KubernetesError) -> HTTPResponse {
        guard [info.namespace, info.name].allSatisfy({ $0.map { !["", ".", ".."].contains($0) } ?? true }) else {
            throw KubernetesError(code: .badRequest, message: "\(info): a name or a namespace is empty or a dot")
        }
        var token: String?
        var execEntry: ExecCredentialCache.Entry?
        do {
            token = try bearerToken.current(now: timekeeper.now())
            execEntry = try await execCredentials?.current(logger)
        } catch {
            if Task.isCancelled { throw .cancelled(info) }
            throw KubernetesError(
                code: .unauthorized,
                message: "\(info): no credentials: \(error.message)",
                cause: error
            )
        }
        if let execEntry {
            token = execEntry.credential.token
            tlsCredentials.use(execEntry)
        }
        var generation = tlsCredentials.current(now: timekeeper.now())
        while true {
            let response: HTTPResponse
            let body: [UInt8]
            do throws(HTTPError) {
                var request = request(info, content, token: token)
                request.timeouts = timeouts
                request.delivery = delivery
                response = try await http.execute(request)
                // Of an error with a longer body, the HTTP status says enough.
                body = response.status < 300 ? [] : try await response.body.beginning(upTo: 1 << 20)
            } catch {
                // A server that refuses a certificate may also just hang up; then it is not known to have done nothing.
                if [.tls, .transport].contains(error.code),
                    let fresh = tlsCredentials.replacement(for: generation, now: timekeeper.now()), error.code == .tls
                {
                    generation = fresh
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
            if response.status == 401 {
                let freshToken = bearerToken.replacement(for: token, now: timekeeper.now())
                let freshTLS = tlsCredentials.replacement(for: generation, now: timekeeper.now())
                if let number = execEntry?.number,
                    let fresh = await execCredentials?.replacement(for: number, logger)
                {
                    execEntry = fresh
                    token = fresh.credential.token
                    tlsCredentials.use(fresh)
                    generation = tlsCredentials.current(now: timekeeper.now())
                    continue
                }
                if freshToken != nil || freshTLS != nil {
                    token = freshToken ?? token
                    generation = freshTLS ?? generation
                    continue
                }
            }
            throw KubernetesError(
                httpStatus: response.status,
                retryAfterHeader: response.headers["Retry-After"],
                body: body,
                request: info
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

    /// Measures a request, logs it and reports the observer.
    private func observed<Answer>(
        _ info: RequestInfo,
        _ content: Content,
        _ body: () async throws(KubernetesError) -> (Answer, status: Int)
    ) async throws(KubernetesError) -> Answer {
        let start = timekeeper.now()
        do {
            let (answer, status) = try await body()
            record(info, content, httpStatus: status, since: start)
            return answer
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
        let duration = timekeeper.now() - start
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
    /// Counts an object that a list or a watch skips, and logs the first of its resource.
    func skip(_ object: UndecodableObject) {
        skippedObject(object)
        guard undecodableResources.withLock({ $0.insert(object.resource).inserted }) else { return }
        logger.warning(
            "Skipped an object that cannot be decoded; further ones of the resource are only counted",
            metadata: [
                "resource": "\(object.resource)",
                "object": ["namespace": "\(object.namespace)", "name": "\(object.name)"],
                "err": "\(object.error)",
            ]
        )
    }
}
