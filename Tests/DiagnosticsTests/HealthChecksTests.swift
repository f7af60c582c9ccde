// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import NIOHTTP1
import Testing

@testable import Diagnostics

@Suite struct HealthChecksTests {
    private let healthChecks = HealthChecks()

    /// What `problem` makes of a check of this severity.
    private func response(_ severity: HealthChecks.Severity, problem: String?) -> Response {
        healthChecks.register(path: "/healthz/x", severity: severity) { problem }
        let responder = Responder(metricsPath: "/metrics", metrics: MetricsRegistry(), healthChecks: healthChecks)
        return responder.response(to: HTTPRequestHead(version: .http1_1, method: .GET, uri: "/healthz/x"))
    }

    @Test func aFailureFailsTheProbe() {
        let response = response(.failure, problem: "the lease is lost")
        #expect(response.status == .internalServerError)
        #expect(response.body == "internal server error: the lease is lost\n")
    }

    /// No kubelet restarts a pod for it.
    @Test func informationIsToldAndFailsNoProbe() {
        let response = response(.information, problem: "the driver lacks GET_VOLUME_HEALTH")
        #expect(response.status == .ok)
        #expect(response.body == "the driver lacks GET_VOLUME_HEALTH\n")
    }

    @Test(arguments: [HealthChecks.Severity.failure, .information])
    func nothingWrongIsOk(severity: HealthChecks.Severity) {
        let response = response(severity, problem: nil)
        #expect(response.status == .ok)
        #expect(response.body == "ok")
    }
}
