// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import KubernetesAPI
import SwiftProtobuf
import Testing
import VolumeHealth

@testable import HealthMonitor
@testable import KubernetesClient

@Suite struct ReportOutcomeTests {
    private func outcome(_ httpStatus: Int, reason: String?, kind: String = "") -> ReportOutcome {
        let status = reason.map { reason in
            Status.with {
                $0.reason = reason
                $0.details.kind = kind
            }
        }
        let code = KubernetesError.Code(httpStatus: httpStatus, status: status)
        return ReportOutcome(KubernetesError(code: code, message: "", httpStatus: httpStatus, status: status))
    }

    @Test(arguments: ["namespaces", "persistentvolumeclaims", "events"])
    func `a claim is gone where a Status says so`(kind: String) {
        #expect(outcome(404, reason: "NotFound", kind: kind) == .gone)
    }

    @Test func `a 404 that says nothing of the claim is a failure to be retried`() {
        #expect(outcome(404, reason: nil) == outcome(502, reason: nil))
        #expect(outcome(404, reason: "") == .unanswered)
        #expect(outcome(404, reason: "NotFound") == .unreachable(retryAfter: nil))
        #expect(outcome(404, reason: "NotFound", kind: "leases") == .unreachable(retryAfter: nil))
    }
}
