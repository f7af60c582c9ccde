// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthRuntime
import KubernetesClient
import Synchronization

/// What requests to the API server show: whether it responds, and which RBAC rules are missing.
final class RequestHealth: Sendable {
    private struct State {
        /// The requests in a row that got no response or 401: since the first, with the reason of the last.
        var failure: (since: ContinuousClock.Instant, requests: Int, reason: String)?
        var rules = RuleFindings()
    }

    /// How often refused requests are reviewed at most.
    private static let reviewInterval = Duration.seconds(60)

    /// No other lock is taken under this one.
    private let state = Mutex(State())
    /// A request for one namespace was refused.
    private let refused = WakeUp()

    /// Records the result of a request.
    func observe(_ request: KubernetesClient.RequestObservation) {
        let isServed = request.httpStatus.map { $0 < 400 } ?? false
        let needsReview = state.withLock { state in
            if request.httpStatus == nil || request.httpStatus == 401 {
                let problem = request.httpStatus == nil ? "no response" : "401 Unauthorized"
                state.failure = (
                    since: state.failure?.since ?? .now,
                    requests: (state.failure?.requests ?? 0) + 1,
                    reason: "\(request.verb) \(request.resource) at \(request.host): \(problem)"
                )
            } else {
                state.failure = nil
            }
            // No report needs a review.
            if request.lacksRule, request.resource != "selfsubjectaccessreviews" {
                return state.rules.refused(request.request, at: .now)
            }
            if isServed { state.rules.served(request.request) }
            return false
        }
        if needsReview { refused.signal() }
    }

    /// After a refusal for one namespace, finds out by a SelfSubjectAccessReview whether the RBAC rule is missing, at
    /// most once a minute.
    ///
    /// RBAC: none of ours, see ``KubernetesClient/KubernetesClient/isAllowed(_:)``.
    ///
    /// - Throws: only `CancellationError`.
    func reviewRefusals(_ kubernetes: KubernetesClient, clock: some Clock<Duration> = ContinuousClock()) async throws {
        while true {
            await refused.wait()
            try Task.checkCancellation()
            while let request = state.withLock({ $0.rules.nextReview() }) {
                let isAllowed = try? await kubernetes.isAllowed(request)
                try Task.checkCancellation()
                state.withLock { $0.rules.reviewed(request, isAllowed: isAllowed) }
            }
            try await clock.sleep(for: Self.reviewInterval)
        }
    }

    /// The API server responds to no request, or with 401. A single failure does not count: it may be a request that was
    /// cancelled or timed out, and the next request may be minutes away.
    func failure(at now: ContinuousClock.Instant) -> ReadinessFailure? {
        state.withLock { $0.failure }.flatMap { failure in
            failure.requests >= 2 ? ReadinessFailure(age: now - failure.since, reason: failure.reason) : nil
        }
    }

    /// The missing rules, and for how long they have been missing.
    func missingRules(at now: ContinuousClock.Instant) -> [String: Duration] {
        state.withLock { $0.rules.missing }.mapValues { now - $0 }
    }

    /// Each rule that was found missing, and whether it still is.
    var rules: [(rule: String, isMissing: Bool)] {
        let rules = state.withLock { $0.rules }
        let missing = rules.missing
        return rules.everMissing.map { (rule: $0, isMissing: missing[$0] != nil) }
    }
}
