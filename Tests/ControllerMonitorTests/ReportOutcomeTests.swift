// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import ControllerCore
import HTTPTransport
import HealthCore
import HealthMonitorTestKit
import KubernetesAPI
import SwiftProtobuf
import Testing

@testable import ControllerMonitor
@testable import HealthRuntime
@testable import KubernetesClient

@Suite struct ReportOutcomeTests {
    private func outcome(
        _ httpStatus: Int,
        reason: String?,
        kind: String = "",
        message: String = ""
    ) -> ReportOutcome {
        let status = reason.map { reason in
            Status.with {
                $0.reason = reason
                $0.message = message
                $0.details.kind = kind
            }
        }
        let code = KubernetesError.Code(httpStatus: httpStatus, status: status)
        return ReportOutcome(KubernetesError(code: code, message: "", httpStatus: httpStatus, status: status))
    }

    @Test(arguments: ["namespaces", "persistentvolumeclaims", "events"])
    func `a claim is gone if a Status says so`(kind: String) {
        #expect(outcome(404, reason: "NotFound", kind: kind) == .gone)
    }

    @Test func `a 404 that does not name the claim is a failure to retry`() {
        #expect(outcome(404, reason: nil) == outcome(502, reason: nil))
        #expect(outcome(404, reason: "") == .failed(RequestFailure(isUncertain: true)))
        #expect(outcome(404, reason: "NotFound") == .failed(RequestFailure()))
        #expect(outcome(404, reason: "NotFound", kind: "leases") == .failed(RequestFailure()))
    }

    /// A quota, an admission webhook, an authorizer and an event rate limit can each apply to a single namespace:
    /// docs/reliability.md, "Assumptions about others".
    @Test(arguments: [403, 429, 500, 503, 504])
    func `a failure that may concern one namespace does not count for all`(httpStatus: Int) {
        let failure = RequestFailure(isUncertain: [500, 504].contains(httpStatus))
        #expect(outcome(httpStatus, reason: "Any") == .failed(failure))
    }

    private static let missingRule =
        #"events is forbidden: User "u" cannot create resource "events" in API group "" in the namespace "shop""#

    @Test(arguments: [
        (missingRule, true),
        ("events \"e\" is forbidden: exceeded quota: q, requested: count/events=1, used: 9, limited: 9", false),
        ("events \"e\" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: no", false),
        ("admission webhook \"w\" denied the request: no", false),
    ])
    func `RBAC forbids a report only if the API server says so`(message: String, isForbidden: Bool) {
        let failure = RequestFailure(isForbidden: isForbidden)
        #expect(outcome(403, reason: "Forbidden", message: message) == .failed(failure))
    }

    @Test func `reports that are queued again count as retried, or as refused where the API server refused them`() {
        func result(_ outcome: ReportOutcome) -> ReportObservation.Result { ReportObservation.Result(outcome) }
        #expect(result(.reported) == .recorded)
        #expect(result(.gone) == .gone)
        #expect(result(.refused) == .refused)
        #expect(result(outcome(403, reason: "Forbidden", message: Self.missingRule)) == .refused)
        #expect(result(outcome(403, reason: "Forbidden", message: "exceeded quota: q")) == .retried)
        #expect(result(outcome(500, reason: "InternalError")) == .retried)
        #expect(result(.unreachable) == .retried)
    }

    @Test func `each report is counted by its kind and result`() async throws {
        try await Scene.run(prepare: ClaimConditionTests.oneVolume()) { scene in
            _ = await scene.write(1)
            let recorded = [ReportObservation.Kind.event, .status].map {
                MonitorObservation.reported(ReportObservation(kind: $0, result: .recorded, duration: .zero))
            }
            while !recorded.allSatisfy(scene.observations.all.contains) { await pollingPause() }
        }
    }

    @Test func `a snapshot has the method, the conditions, their age and the number of queued reports`() async throws {
        try await Scene.set { scene in
            try ClaimConditionTests.oneVolume()(scene)
            try await scene.monitor { monitor in
                _ = await scene.write(1)
                while monitor.snapshot()?.events.depth != 0 { await pollingPause() }
                let before = try #require(monitor.snapshot()?.unhealthyClaims.first)
                scene.clock.advance(by: .seconds(7))
                let snapshot = try #require(monitor.snapshot())
                let claim = try #require(snapshot.unhealthyClaims.first)
                #expect(claim.age == before.age + .seconds(7))
                #expect(claim.conditions.map(\.reason) == ["NoPath", "Slow"])
                #expect(snapshot.method == .init(name: "ControllerListVolumeHealth", generation: "health"))
                #expect(snapshot.events.adds == 1)
            }
        }
    }

    @Test func `a server that cannot be reached, and a refused token, count for all namespaces`() {
        for code in [HTTPError.Code.connect, .tls] {
            #expect(ReportOutcome(Self.failure(code)) == .unreachable)
        }
        #expect(outcome(401, reason: "Unauthorized") == .unreachable)
    }

    @Test func `a connection that breaks after the request was sent counts for its namespace first`() {
        #expect(ReportOutcome(Self.failure(.transport)) == .failed(RequestFailure(isUncertain: true)))
    }

    private static func failure(_ code: HTTPError.Code) -> KubernetesError {
        KubernetesError(code: .transport, message: "", cause: HTTPError(code: code, message: ""))
    }
}
