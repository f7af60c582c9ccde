// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import KubernetesClient

/// Which RBAC rules are missing, as refused and served requests show.
///
/// A refusal for all namespaces shows it at once. A refusal for one namespace does not: an authorizer may refuse that
/// namespace alone, in RBAC's words (GKE Warden: https://github.com/tailscale/tailscale/issues/9475), and where Roles
/// grant the rule, it may be missing in one of them. The rule counts as missing when the API server says so in a review,
/// when the review fails, or when requests were refused for ``commonAfter`` namespaces and none was served in between.
///
/// Pure: time is passed in.
struct RuleFindings: Sendable {
    typealias Instant = ContinuousClock.Instant

    private struct Refusal {
        /// When the first request was refused.
        var since: Instant
        var request: RequestInfo
        var namespaces: Set<String> = []
        var isMissing = false
        /// A request was refused since the last review.
        var needsReview = false
    }

    /// How many namespaces show that the cause is common to all, as for reports (rule 10).
    private static let commonAfter = 3

    /// By rule: what was refused since a request was last served.
    private var refusals: [String: Refusal] = [:]
    /// The namespace in which a rule was last served.
    private var served: [String: String] = [:]
    /// RBAC rules that have been missing at any time.
    private(set) var everMissing: Set<String> = []

    /// The missing rules, as they are written in a Role, and since when.
    var missing: [String: Instant] { refusals.filter(\.value.isMissing).mapValues(\.since) }

    /// A request was refused because a rule is missing.
    ///
    /// - Returns: whether a review is to show whether the rule is missing.
    mutating func refused(_ request: RequestInfo, at now: Instant) -> Bool {
        let rule = request.rbacRule
        var refusal = refusals[rule] ?? Refusal(since: now, request: request)
        defer { refusals[rule] = refusal }
        if let namespace = request.namespace, refusal.namespaces.count < Self.commonAfter {
            refusal.namespaces.insert(namespace)
        }
        if request.namespace == nil || refusal.namespaces.count >= Self.commonAfter {
            refusal.isMissing = true
            everMissing.insert(rule)
        }
        refusal.needsReview = request.namespace != nil && refusal.namespaces.count < Self.commonAfter
        return refusal.needsReview
    }

    /// A request was served: its rule is not missing.
    mutating func served(_ request: RequestInfo) {
        let rule = request.rbacRule
        refusals[rule] = nil
        if let namespace = request.namespace { served[rule] = namespace }
    }

    /// The next request whose permission a review is to show; nil: there is none. It is for the namespace in which the
    /// rule was last served, if it was not refused there since, otherwise for all namespaces.
    mutating func nextReview() -> RequestInfo? {
        guard let (rule, refusal) = refusals.first(where: \.value.needsReview) else { return nil }
        refusals[rule]?.needsReview = false
        let namespace = served[rule].flatMap { refusal.namespaces.contains($0) ? nil : $0 }
        return RequestInfo(
            verb: refusal.request.verb,
            resource: refusal.request.resource,
            namespace: namespace,
            subresource: refusal.request.subresource
        )
    }

    /// The result of a review; nil: it failed. Ignored if the rule has been served meanwhile.
    mutating func reviewed(_ request: RequestInfo, isAllowed: Bool?) {
        let rule = request.rbacRule
        guard let refusal = refusals[rule], refusal.namespaces.count < Self.commonAfter else { return }
        refusals[rule]?.isMissing = isAllowed != true
        if isAllowed != true { everMissing.insert(rule) }
    }
}
