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
        #expect(outcome(404, reason: "") == .failed(RequestFailure(isUncertain: true)))
        #expect(outcome(404, reason: "NotFound") == .failed(RequestFailure()))
        #expect(outcome(404, reason: "NotFound", kind: "leases") == .failed(RequestFailure()))
    }

    /// A quota, an admission webhook, an authorizer and a limit of events can each be of one namespace: field-reports 7 and 8.
    @Test(arguments: [403, 429, 500, 503, 504])
    func `what may be the fault of one namespace is not taken for that of all`(httpStatus: Int) {
        let failure = RequestFailure(isUncertain: [500, 504].contains(httpStatus), isForbidden: httpStatus == 403)
        #expect(outcome(httpStatus, reason: "Any") == .failed(failure))
    }

    @Test func `a connection that fails is that of all`() {
        #expect(ReportOutcome(KubernetesError(code: .transport, message: "")) == .unanswered)
        #expect(outcome(401, reason: "Unauthorized") == .unreachable)
    }
}
