// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Glibc
import Metrics
import NIOHTTP1

/// Responds to the requests of all connections.
struct Responder: Sendable {
    let metricsPath: String
    let metrics: MetricsRegistry
    let healthChecks: HealthChecks

    func response(to request: HTTPRequestHead) -> Response {
        let path = String(request.uri.prefix { $0 != "?" })
        if path == metricsPath {
            guard request.method.isRead else { return .methodNotAllowed }
            return Response(status: .ok, contentType: MetricsRegistry.expositionContentType, body: metrics.exposition())
        }
        if let checks = healthChecks.namedChecks(at: path) {
            guard request.method.isRead else { return .methodNotAllowed }
            let query = request.uri.drop { $0 != "?" }.dropFirst().split(separator: "&")
            let isVerbose = query.contains { $0 == "verbose" || $0.hasPrefix("verbose=") }
            return Response(checks(), of: path, isVerbose: isVerbose)
        }
        guard let registration = healthChecks.check(at: path) else {
            return Response(status: .notFound, body: "404 page not found\n")
        }
        guard request.method.isRead else { return .methodNotAllowed }
        // The texts of k8s.io/apiserver, pkg/server/healthz/healthz.go.
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
    /// The text of kube-apiserver's `/readyz?verbose`: k8s.io/apiserver, pkg/server/healthz/healthz.go.
    fileprivate init(_ results: [HealthChecks.Result], of path: String, isVerbose: Bool) {
        let isOK = results.allSatisfy { $0.failure == nil }
        let lines = results.map { result in
            guard let failure = result.failure else {
                return "[+]\(result.name) ok" + (result.note.map { ": \($0)" } ?? "")
            }
            let since =
                failure.age.map { " since \(RFC3339.text(secondsSince1970: RFC3339.now - $0 / .seconds(1)))" } ?? ""
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

/// RFC 3339 timestamps in UTC, to the second.
enum RFC3339 {
    /// The wall-clock time in seconds since 1970.
    static var now: Double {
        var time = timespec()
        // Safe: the pointer is to a local variable.
        unsafe clock_gettime(CLOCK_REALTIME, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }

    /// `2026-04-20T09:39:53Z`; fractions of a second are truncated.
    static func text(secondsSince1970 seconds: Double) -> String {
        var time = time_t(seconds)
        var utc = unsafe tm()
        // Safe: both pointers are to local variables. It fails only where the year overflows an int.
        unsafe gmtime_r(&time, &utc)
        let date = unsafe "\(utc.tm_year + 1900)-\(twoDigits(utc.tm_mon + 1))-\(twoDigits(utc.tm_mday))"
        return unsafe "\(date)T\(twoDigits(utc.tm_hour)):\(twoDigits(utc.tm_min)):\(twoDigits(utc.tm_sec))Z"
    }

    private static func twoDigits(_ number: Int32) -> String { number < 10 ? "0\(number)" : "\(number)" }
}

extension HTTPMethod {
    fileprivate var isRead: Bool { self == .GET || self == .HEAD }
}
