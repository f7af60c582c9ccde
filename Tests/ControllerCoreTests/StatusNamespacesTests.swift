// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Testing

@testable import ControllerCore
@testable import HealthCore

/// Rule 10 for the status of claims: what fails in one namespace hides nothing of the others.
struct StatusNamespacesTests {
    var healthState = HealthState()

    @Test(.tags(.rule10)) mutating func `one namespace that forbids status updates does not hide the others`() throws {
        let other = Claim.named("other", in: "shop")
        healthState.bind(.named("csi-pvc"), handle: "h1")
        healthState.bind(other, handle: "h2")
        healthState.sweep([.abnormal("h1"), .abnormal("h2")], at: .zero)
        while let status = healthState.nextStatus(at: .zero).job {
            let isOther = status.claim.key == other.key
            let outcome = isOther ? ReportOutcome.failed(RequestFailure(isForbidden: true)) : .reported
            healthState.complete(status: status, outcome, at: .zero)
        }
        let retry = try #require(healthState.nextStatus(at: .seconds(60)).job)
        #expect(retry.claim.key == other.key)
        healthState.complete(status: retry, .failed(RequestFailure(isForbidden: true)), at: .seconds(60))
        #expect(healthState.isStatusSupported)
        #expect(healthState.statusBacklog.depth == 1)
    }

    /// In one of them an admission webhook may not respond.
    @Test(.tags(.rule10)) mutating func `whether the field is kept is tried in one namespace after the other`() {
        let namespaces = ["default", "shop", "bank"]
        for namespace in namespaces {
            for name in ["\(namespace)-a", "\(namespace)-b"] {
                healthState.bind(.named(name, in: namespace), handle: name)
            }
        }
        healthState.sweep(namespaces.flatMap { [.abnormal("\($0)-a"), .abnormal("\($0)-b")] }, at: .seconds(3))
        for _ in 0..<3 {
            let trials = namespaces.compactMap { _ in healthState.nextStatusTrial() }
            #expect(Set(trials.map(\.claim.key.namespace)) == Set(namespaces))
            #expect(trials.allSatisfy { $0.since == .seconds(3) && !$0.field.conditions.isEmpty })
        }
        healthState.beginStrategy(writesStatus: false)
        #expect(healthState.nextStatusTrial() == nil)
    }
}
