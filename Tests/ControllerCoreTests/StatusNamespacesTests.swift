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

    /// It stays while pods use its claims, and takes no new events: k8s.io/apiserver,
    /// pkg/admission/plugin/namespace/lifecycle/admission.go, `Admit`.
    @Test(.tags(.rule10)) mutating func `a claim in a namespace that is being deleted is reported once`() throws {
        healthState.bind(.named("csi-pvc"), handle: "h1")
        for minute in 0..<29 {
            let now = Duration.seconds(60 * minute)
            healthState.sweep([.abnormal("h1")], at: now)
            let event = healthState.nextEvent(at: now).job
            #expect((event != nil) == (minute == 0))
            if let event { healthState.complete(event: event, .gone, at: now) }
        }
        #expect(healthState.nextEvent(at: .seconds(1800)).job?.cause == .refresh)
        // It is gone.
        healthState.removeClaim(Claim.named("csi-pvc").key, at: .seconds(1800))
        #expect(healthState.events.isEmpty)
    }

    /// As an admission webhook that was built before the field existed.
    @Test(.tags(.rule10)) mutating func `one namespace that drops the field does not decide for the others`() {
        let namespaces = ["default", "shop", "bank", "farm"]
        for namespace in namespaces { healthState.bind(.named(namespace, in: namespace), handle: namespace) }
        healthState.sweep(namespaces.map { .abnormal($0) }, at: .zero)
        var changes: [Bool] = []
        for (isKept, namespace) in [
            (true, "default"), (false, "shop"), (false, "shop"), (false, "bank"), (true, "default"), (false, "bank"),
            (false, "shop"), (false, "farm"),
        ] {
            changes.append(healthState.healthStatusReturned(isKept: isKept, in: namespace, at: .zero))
        }
        // The last three are three namespaces in a row.
        #expect(changes == [true, false, false, false, false, false, false, true])
        #expect(healthState.keepsHealthStatus == false)
        // The trial finds another one: it was a webhook for these three, which does not decide again.
        let later = [(true, "default"), (false, "bank"), (false, "shop"), (false, "farm")].map { isKept, namespace in
            healthState.healthStatusReturned(isKept: isKept, in: namespace, at: .zero)
        }
        #expect(later == [true, false, false, false])
        healthState.sweep([.healthy("default")] + namespaces.dropFirst().map { .abnormal($0) }, at: .seconds(60))
        let isLast = healthState.healthStatusReturned(isKept: false, in: "farm", at: .seconds(60))
        #expect(isLast)
    }

    @Test mutating func `a namespace whose volumes have recovered does not decide for the others either`() {
        let namespaces = ["default", "shop", "bank", "farm"]
        for namespace in namespaces { healthState.bind(.named(namespace, in: namespace), handle: namespace) }
        healthState.sweep([.abnormal("default"), .abnormal("shop"), .healthy("bank"), .abnormal("farm")], at: .zero)
        _ = healthState.healthStatusReturned(isKept: true, in: "default", at: .zero)
        _ = healthState.healthStatusReturned(isKept: false, in: "shop", at: .zero)
        healthState.sweep(
            [.healthy("default"), .healthy("shop"), .abnormal("bank"), .abnormal("farm")],
            at: .seconds(60)
        )
        let hasChanged = healthState.healthStatusReturned(isKept: false, in: "bank", at: .seconds(60))
        #expect(!hasChanged)
    }

    @Test mutating func `where all unhealthy volumes are of one namespace, it decides`() {
        healthState.bind(.named("a"), handle: "h1")
        healthState.bind(.named("b", in: "shop"), handle: "h2")
        healthState.sweep([.abnormal("h1"), .healthy("h2")], at: .zero)
        let changes = [true, false].map { healthState.healthStatusReturned(isKept: $0, in: "default", at: .zero) }
        #expect(changes == [true, true])
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
