// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import NIOHTTP1

/// Answers the requests to the endpoint, whatever connection they come from.
struct Responder: Sendable {
    let metricsPath: String
    let metrics: MetricsRegistry
    let healthChecks: HealthChecks

    func response(to request: HTTPRequestHead) -> Response {
        let path = String(request.uri.prefix { $0 != "?" })
        if path == metricsPath {
            guard request.method.isRead else { return .methodNotAllowed }
            return Response(status: .ok, contentType: PrometheusText.contentType, body: metrics.exposition())
        }
        if let checks = healthChecks.namedChecks(at: path) {
            guard request.method.isRead else { return .methodNotAllowed }
            let query = request.uri.drop { $0 != "?" }.dropFirst().split(separator: "&")
            let isVerbose = query.contains { $0 == "verbose" || $0.hasPrefix("verbose=") }
            return Response(checks(), of: path, isVerbose: isVerbose, now: LogTime.now().secondsSince1970)
        }
        guard let registration = healthChecks.check(at: path) else {
            return Response(status: .notFound, body: "404 page not found\n")
        }
        guard request.method.isRead else { return .methodNotAllowed }
        // The texts are those of Kubernetes' own health checks.
        if let problem = registration.check() {
            if registration.severity == .information { return Response(status: .ok, body: "\(problem)\n") }
            return Response(status: .internalServerError, body: "internal server error: \(problem)\n")
        }
        return Response(status: .ok, body: "ok")
    }
}

struct Response: Sendable {
    var status: HTTPResponseStatus
    var contentType = "text/plain; charset=utf-8"
    var body: String
    var additionalHeaders: [(String, String)] = []

    static let methodNotAllowed = Response(
        status: .methodNotAllowed,
        body: "Method Not Allowed\n",
        additionalHeaders: [("Allow", "GET, HEAD")]
    )

    /// The response without its body; `Content-Length` reports the body's length, to HEAD as well.
    var head: HTTPResponseHead {
        var headers = HTTPHeaders([
            ("Content-Type", contentType),
            ("Content-Length", "\(body.utf8.count)"),
            ("X-Content-Type-Options", "nosniff"),
            ("Connection", "close"),
        ])
        headers.add(contentsOf: additionalHeaders)
        return HTTPResponseHead(version: .http1_1, status: status, headers: headers)
    }
}

extension Response {
    /// The text is that of kube-apiserver's `/readyz?verbose`: k8s.io/apiserver, pkg/server/healthz/healthz.go.
    ///
    /// - Parameter now: in seconds since 1970.
    fileprivate init(_ results: [HealthChecks.Result], of path: String, isVerbose: Bool, now: Double) {
        let isOK = results.allSatisfy { $0.failure == nil }
        let lines = results.map { result in
            guard let failure = result.failure else {
                return "[+]\(result.name) ok" + (result.note.map { ": \($0)" } ?? "")
            }
            let since =
                failure.age.map {
                    " since \(LogTime(secondsSince1970: Int(now - $0 / .seconds(1)), nanoseconds: 0).utcText)"
                } ?? ""
            return "[-]\(result.name) failed\(since): \(failure.reason)"
        }
        let name = path.dropFirst()
        switch (isOK, isVerbose) {
        case (true, false): self.init(status: .ok, body: "ok")
        case (true, true): self.init(status: .ok, body: lines.joined(separator: "\n") + "\n\(name) check passed\n")
        case (false, _):
            self.init(status: .serviceUnavailable, body: lines.joined(separator: "\n") + "\n\(name) check failed\n")
        }
    }
}

extension HTTPMethod {
    fileprivate var isRead: Bool { self == .GET || self == .HEAD }
}
