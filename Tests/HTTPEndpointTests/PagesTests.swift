// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Metrics
import NIOHTTP1
import Testing

@testable import HTTPEndpoint

@Suite struct PagesTests {
    private let pages = Pages()
    private let healthChecks = HealthChecks()

    private func response(_ uri: String, method: HTTPMethod = .GET, metricsPath: String = "/metrics") -> Response {
        let metrics = MetricsRegistry()
        metrics.gauge(MetricDescription(name: "g", help: "G.")).set(1)
        let responder = Responder(
            metricsPath: metricsPath,
            metrics: metrics,
            healthChecks: healthChecks,
            pages: pages
        )
        return responder.response(to: HTTPRequestHead(version: .http1_1, method: method, uri: uri))
    }

    @Test(arguments: [
        (Pages.ContentType.html, "text/html; charset=utf-8"), (.json, "application/json"),
        (.plainText, "text/plain; charset=utf-8"),
    ])
    func `a page has its content type, and no cache keeps it`(type: Pages.ContentType, mediaType: String) {
        pages.register(path: "/p", type) { "é" }
        let response = response("/p?x=1")
        #expect(response.status == .ok)
        #expect(response.body == "é")
        let headers = response.head.headers
        #expect(headers["Content-Type"] == [mediaType])
        #expect(headers["Content-Length"] == ["2"])
        #expect(headers["X-Content-Type-Options"] == ["nosniff"])
        #expect(headers["Cache-Control"] == ["no-store"])
        #expect(headers.contains(name: "Content-Security-Policy") == (type == .html))
    }

    @Test func `HTML may run no script, load nothing and be in no frame`() {
        pages.register(path: "/", .html) { "<p>" }
        let headers = response("/").head.headers
        #expect(
            headers["Content-Security-Policy"] == [
                "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; "
                    + "frame-ancestors 'none'"
            ]
        )
        #expect(headers["Referrer-Policy"] == ["no-referrer"])
    }

    @Test func `a page is made for each request`() {
        let contents = ResultSequence(["1", "2"])
        pages.register(path: "/p", .plainText) { contents.next() ?? "" }
        #expect(response("/p").body == "1")
        #expect(response("/p").body == "2")
    }

    @Test(arguments: ["/P", "/p/", "/p/q", "/", "", "//p", "/%70", "*", "http://x/p"])
    func `other paths are not found`(uri: String) {
        pages.register(path: "/p", .plainText) { "" }
        #expect(response(uri).status == .notFound)
    }

    @Test(arguments: [HTTPMethod.POST, .PUT, .DELETE, .OPTIONS, .TRACE])
    func `other methods are not allowed and make no page`(method: HTTPMethod) {
        let contents = ResultSequence(["1"])
        pages.register(path: "/p", .plainText) { contents.next() ?? "" }
        #expect(response("/p", method: method).status == .methodNotAllowed)
        #expect(contents.count == 0)
    }

    @Test func `metrics and health checks precede a page with the same path`() {
        for path in ["/", "/livez", "/readyz"] { pages.register(path: path, .plainText) { "page" } }
        healthChecks.register(path: "/livez") { nil }
        healthChecks.register(path: "/readyz") { [] }
        #expect(response("/", metricsPath: "/").body.contains("\ng 1\n"))
        #expect(response("/livez").body == "ok")
        #expect(response("/readyz").body == "ok")
    }

    @Test func `the registered paths are known`() {
        for path in ["/", "/statusz"] { pages.register(path: path, .plainText) { "" } }
        healthChecks.register(path: "/livez") { nil }
        healthChecks.register(path: "/readyz") { [] }
        #expect(Set(pages.paths) == ["/", "/statusz"])
        #expect(Set(healthChecks.paths) == ["/livez", "/readyz"])
    }
}
