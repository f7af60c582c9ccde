// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthMonitorTestKit
import KubernetesAPI
import Testing

@testable import KubernetesClient
@testable import csi_health_monitor

/// A refusal in one namespace does not make a replica unready, and a missing rule does, wherever it shows.
@Suite struct RuleFindingsTests {
    private static let rule = #"{apiGroups: [""], resources: ["events"], verbs: ["create"]}"#
    private var findings = RuleFindings()
    private let now = ContinuousClock.now

    private static func create(in namespace: String?) -> RequestInfo {
        RequestInfo(verb: .create, resource: Event.resource, namespace: namespace, name: nil)
    }

    private var isMissing: Bool { findings.missing.keys.contains(Self.rule) }

    /// Refuses a request, and returns the namespace of the review: "" for all namespaces, nil without a review.
    private mutating func refuse(in namespace: String, isAllowed: Bool?) -> String? {
        guard findings.refused(Self.create(in: namespace), at: now), let review = findings.nextReview() else {
            return nil
        }
        findings.reviewed(review, isAllowed: isAllowed)
        let further = findings.nextReview()
        #expect(further == nil)
        return review.namespace ?? ""
    }

    @Test mutating func `a refusal in one namespace of a rule that the API server grants is no missing rule`() {
        let reviewed = refuse(in: "a", isAllowed: true)
        #expect(reviewed?.isEmpty == true)
        #expect(!isMissing)
        #expect(findings.everMissing.isEmpty)
    }

    @Test(arguments: [false, nil]) mutating func `in a cluster with one namespace, a missing rule is found`(
        isAllowed: Bool?
    ) {
        let later = now + .seconds(5)
        let reviewed = refuse(in: "only", isAllowed: isAllowed)
        #expect(reviewed?.isEmpty == true)
        #expect(findings.missing == [Self.rule: now])
        // It was added, and is removed again.
        findings.served(Self.create(in: "only"))
        #expect(!isMissing)
        #expect(findings.everMissing == [Self.rule])
        let isReviewed = findings.refused(Self.create(in: "only"), at: later)
        #expect(isReviewed)
        let review = findings.nextReview()
        #expect(review?.namespace == nil)
        if let review { findings.reviewed(review, isAllowed: isAllowed) }
        #expect(findings.missing == [Self.rule: later])
    }

    /// Roles may grant a rule in some namespaces only.
    @Test mutating func `whether a rule that was served elsewhere is missing is asked for that namespace`() {
        findings.served(Self.create(in: "b"))
        let reviewed = refuse(in: "a", isAllowed: true)
        #expect(reviewed == "b")
        #expect(!isMissing)
        let reviewedAgain = refuse(in: "a", isAllowed: false)
        #expect(reviewedAgain == "b")
        #expect(isMissing)
    }

    @Test mutating func `refusals in three namespaces without a success are a missing rule, whatever a review says`() {
        _ = refuse(in: "a", isAllowed: true)
        _ = refuse(in: "b", isAllowed: true)
        findings.served(Self.create(in: "c"))
        _ = refuse(in: "a", isAllowed: true)
        _ = refuse(in: "b", isAllowed: true)
        #expect(!isMissing)
        let reviewed = refuse(in: "d", isAllowed: true)
        #expect(reviewed == nil)
        #expect(isMissing)
        findings.served(Self.create(in: "c"))
        #expect(!isMissing)
    }

    @Test mutating func `a refusal for all namespaces is a missing rule at once`() {
        let isReviewed = findings.refused(Self.create(in: nil), at: now)
        #expect(!isReviewed)
        #expect(findings.missing == [Self.rule: now])
    }

    @Test mutating func `a rule that is served during its review is not missing`() throws {
        let isReviewed = findings.refused(Self.create(in: "a"), at: now)
        #expect(isReviewed)
        let next = findings.nextReview()
        let review = try #require(next)
        findings.served(Self.create(in: "a"))
        findings.reviewed(review, isAllowed: false)
        #expect(!isMissing)
    }
}
