// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import KubernetesClient
import Synchronization

/// What requests to the API server show: whether it responds, and which RBAC rules are missing.
final class RequestHealth: Sendable {
    private struct State {
        /// The requests in a row that got no response or 401: since the first, with the reason of the last.
        var failure: (since: ContinuousClock.Instant, requests: Int, reason: String)?
        /// RBAC rules that are missing, as they are written in a Role, and since when.
        var missingRules: [String: ContinuousClock.Instant] = [:]
        /// RBAC rules that have been missing at any time.
        var refusedRules: Set<String> = []
    }

    /// No other lock is taken under this one.
    private let state = Mutex(State())

    /// Records the result of a request. An RBAC rule is missing from the first request that is refused for it until one
    /// is served.
    func observe(_ request: KubernetesClient.RequestObservation) {
        let (rule, isServed) = (request.rbacRule, request.httpStatus.map { $0 < 400 } ?? false)
        state.withLock { state in
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
            if request.lacksRule {
                state.refusedRules.insert(rule)
                if state.missingRules[rule] == nil { state.missingRules[rule] = .now }
            } else if isServed, !state.missingRules.isEmpty {
                state.missingRules[rule] = nil
            }
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
        state.withLock { $0.missingRules }.mapValues { now - $0 }
    }

    /// Each rule that was found missing, and whether it still is.
    var rules: [(rule: String, isMissing: Bool)] {
        state.withLock { state in
            state.refusedRules.map { (rule: $0, isMissing: state.missingRules[$0] != nil) }
        }
    }
}
