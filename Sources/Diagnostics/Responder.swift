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

    /// The response without its body; `Content-Length` tells the body's length, to HEAD as well.
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

extension HTTPMethod {
    fileprivate var isRead: Bool { self == .GET || self == .HEAD }
}
