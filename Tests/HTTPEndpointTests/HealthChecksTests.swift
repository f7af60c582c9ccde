// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Metrics
import NIOHTTP1
import Testing

@testable import HTTPEndpoint

@Suite struct HealthChecksTests {
    private let healthChecks = HealthChecks()

    /// The response for a check that returns `problem`.
    private func response(_ severity: HealthChecks.Severity, problem: String?) -> Response {
        healthChecks.register(path: "/healthz/x", severity: severity) { problem }
        let responder = Responder(
            metricsPath: "/metrics",
            metrics: MetricsRegistry(),
            healthChecks: healthChecks,
            pages: Pages()
        )
        return responder.response(to: HTTPRequestHead(version: .http1_1, method: .GET, uri: "/healthz/x"))
    }

    private func readiness(_ results: [HealthChecks.Result], query: String) -> Response {
        healthChecks.register(path: "/readyz") { results }
        let responder = Responder(
            metricsPath: "/metrics",
            metrics: MetricsRegistry(),
            healthChecks: healthChecks,
            pages: Pages()
        )
        return responder.response(to: HTTPRequestHead(version: .http1_1, method: .GET, uri: "/readyz" + query))
    }

    @Test func `the body is ok if all named checks are ok`() {
        let results = [
            HealthChecks.Result(name: "watches", failure: nil),
            HealthChecks.Result(name: "lease", note: "standby", failure: nil),
        ]
        let response = readiness(results, query: "")
        #expect(response.status == .ok)
        #expect(response.body == "ok")
    }

    @Test(arguments: ["?verbose", "?verbose=true", "?a=b&verbose"])
    func `the query verbose shows a line for each named check`(query: String) {
        let results = [
            HealthChecks.Result(name: "watches", failure: nil),
            HealthChecks.Result(name: "lease", note: "standby", failure: nil),
        ]
        let response = readiness(results, query: query)
        #expect(response.status == .ok)
        #expect(response.body == "[+]watches ok\n[+]lease ok: standby\nreadyz check passed\n")
    }

    @Test(arguments: ["", "?verbose"])
    func `a failing named check has its reason and start time`(query: String) throws {
        let results = [
            HealthChecks.Result(name: "watches", failure: .init(age: .seconds(3600), reason: "forbidden")),
            HealthChecks.Result(name: "lease", failure: .init(reason: "lost")),
            HealthChecks.Result(name: "last-sweep", failure: nil),
        ]
        let response = readiness(results, query: query)
        #expect(response.status == .serviceUnavailable)
        let lines = response.body.split(separator: "\n")
        let first = try #require(
            lines.first?.wholeMatch(of: /\[-\]watches failed since \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ: forbidden/)
        )
        #expect(!first.output.isEmpty)
        #expect(lines.dropFirst() == ["[-]lease failed: lost", "[+]last-sweep ok", "readyz check failed"])
    }

    @Test func `a problem of severity failure is status 500`() {
        let response = response(.failure, problem: "the lease is lost")
        #expect(response.status == .internalServerError)
        #expect(response.body == "internal server error: the lease is lost\n")
    }

    /// So that no kubelet restarts the pod.
    @Test func `a problem of severity information is status 200`() {
        let response = response(.information, problem: "the driver lacks GET_VOLUME_HEALTH")
        #expect(response.status == .ok)
        #expect(response.body == "the driver lacks GET_VOLUME_HEALTH\n")
    }

    @Test(arguments: [HealthChecks.Severity.failure, .information])
    func `a check without a problem is ok`(severity: HealthChecks.Severity) {
        let response = response(severity, problem: nil)
        #expect(response.status == .ok)
        #expect(response.body == "ok")
    }
}
