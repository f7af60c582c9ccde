// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Metrics
import NIOHTTP1

/// Responds to the requests of all connections.
struct Responder: Sendable {
    let metricsPath: String
    let metrics: MetricsRegistry
    let healthChecks: HealthChecks
    let pages: Pages

    /// - Parameter admitLarge: called before metrics or a page are made, which may have megabytes. If it returns false,
    ///   the response is ``Response/tooManyLarge``.
    func response(to request: HTTPRequestHead, admitLarge: @escaping () -> Bool = { true }) -> Response {
        let path = String(request.uri.prefix { $0 != "?" })
        let format = ExpositionFormat(accept: request.headers["Accept"].joined(separator: ","))
        guard let respond = responses(at: path, metricsIn: format, admitLarge) else {
            return Response(status: .notFound, body: "404 page not found\n")
        }
        return request.method.isRead ? respond(request.uri.dropFirst(path.count + 1)) : .methodNotAllowed
    }

    /// Responds to requests for a path by their query; nil if nothing is served there.
    private func responses(
        at path: String,
        metricsIn format: ExpositionFormat,
        _ admitLarge: @escaping () -> Bool
    ) -> ((_ query: Substring) -> Response)? {
        if path == metricsPath {
            return { _ in
                guard admitLarge() else { return .tooManyLarge }
                return Response(status: .ok, contentType: format.contentType, body: metrics.exposition(format))
            }
        }
        if let checks = healthChecks.namedChecks(at: path) {
            return { query in
                let isVerbose = query.split(separator: "&").contains { $0 == "verbose" || $0.hasPrefix("verbose=") }
                return Response(checks(), of: path, isVerbose: isVerbose)
            }
        }
        if let registration = healthChecks.check(at: path) { return { _ in Response(registration) } }
        return pages.page(at: path).map { page in { _ in admitLarge() ? Response(page) : Response.tooManyLarge } }
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

    /// As promhttp's response above `MaxRequestsInFlight`.
    static let tooManyLarge = Response(
        status: .serviceUnavailable,
        body: "too many responses with metrics or pages are in flight, retry later\n"
    )

    /// The head of the response. `Content-Length` is that of the body, also for HEAD.
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
    /// The texts of k8s.io/apiserver, pkg/server/healthz/healthz.go.
    fileprivate init(_ registration: HealthChecks.Registration) {
        guard let problem = registration.check() else {
            self.init(status: .ok, body: "ok")
            return
        }
        switch registration.severity {
        case .information: self.init(status: .ok, body: "\(problem)\n")
        case .failure: self.init(status: .internalServerError, body: "internal server error: \(problem)\n")
        }
    }

    /// The text of kube-apiserver's `/readyz?verbose`: k8s.io/apiserver, pkg/server/healthz/healthz.go.
    fileprivate init(_ results: [HealthChecks.Result], of path: String, isVerbose: Bool) {
        let isOK = results.allSatisfy { $0.failure == nil }
        let lines = results.map { result in
            guard let failure = result.failure else {
                return "[+]\(result.name) ok" + (result.note.map { ": \($0)" } ?? "")
            }
            let since = failure.age.map { UTCDate.currentSecondsSince1970 - $0 / .seconds(1) }
                .map { " since \(UTCDate(secondsSince1970: $0).rfc3339)" }
            return "[-]\(result.name) failed\(since ?? ""): \(failure.reason)"
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
