// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HTTPEndpoint
import HealthRuntime

/// A failure of something that reports need.
struct ReadinessFailure: Sendable, Hashable {
    var age: Duration
    var reason: String
}

/// The readiness checks that the controller and the agent have in common.
enum ReadinessChecks {
    /// How long a watch may be silent. A server that sends bookmarks sends one about every minute (k8s.io/apiserver,
    /// pkg/storage/cacher/cacher.go, `defaultBookmarkFrequency`); without bookmarks a watch is reopened after 10
    /// minutes at the latest.
    static let silenceLimit = Duration.seconds(660)
    /// How long a watch or the API server may fail before the check fails, so that reopening a watch does not fail it.
    static let tolerance = Duration.seconds(10)
    /// How long a report may fail before the check fails: most failures end with one of the first retries.
    static let reportTolerance = Duration.seconds(60)

    /// Whether the API server responds and accepts the token.
    static func apiServer(_ failure: ReadinessFailure?) -> HealthChecks.Result {
        HealthChecks.Result(name: "api-server", failure: failure.flatMap(lasting))
    }

    /// RBAC rules that reports need and that are missing; those that no report needs are a note.
    static func permissions(missing rules: [String: Duration], optional: Set<String> = []) -> HealthChecks.Result {
        let note = optional.isEmpty ? nil : "without \(optional.sorted().joined(separator: ", "))"
        guard !rules.isEmpty else { return HealthChecks.Result(name: "permissions", note: note, failure: nil) }
        let reason = "missing RBAC rules: \(rules.keys.sorted().joined(separator: ", "))"
        return HealthChecks.Result(
            name: "permissions",
            note: note,
            failure: .init(age: rules.values.max(), reason: reason)
        )
    }

    /// Why a watch brings no changes; nil if it does.
    ///
    /// - Parameters:
    ///   - silence: the time since its last event, bookmark or reopening; nil before the first list is complete.
    ///   - failure: nil while it is open.
    ///   - age: the time since it was to begin.
    static func watch(
        _ resource: String,
        silence: Duration?,
        failure: ReadinessFailure?,
        age: Duration?
    ) -> HealthChecks.Failure? {
        if let failure = failure.flatMap(lasting) { return failure }
        guard let silence else { return .init(age: age, reason: "the list of \(resource) is not complete") }
        return silence > silenceLimit ? .init(age: silence, reason: "no event or bookmark of \(resource)") : nil
    }

    /// Whether reports reach the API server. A queue that is long because of the rate limit does not fail the check.
    static func reports(_ failure: ReportFailure?) -> HealthChecks.Result {
        let name = "reports"
        guard let failure, failure.age >= reportTolerance else { return HealthChecks.Result(name: name, failure: nil) }
        let counts = "reports failed and are retried: \(failure.failing), reports that wait: \(failure.waiting)"
        let error = failure.error.map { ", the last error: \($0)" } ?? ""
        return HealthChecks.Result(name: name, failure: .init(age: failure.age, reason: counts + error))
    }

    private static func lasting(_ failure: ReadinessFailure) -> HealthChecks.Failure? {
        failure.age >= tolerance ? .init(age: failure.age, reason: failure.reason) : nil
    }
}
