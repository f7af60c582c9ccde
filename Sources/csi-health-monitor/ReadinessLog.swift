// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HTTPEndpoint
import HealthCore

/// Decides which failing checks to log: a lasting failure repeatedly, at increasing intervals, so that the last minutes
/// of the log show it, and its recovery once. A failure that has lasted a minute when it is first seen is logged at once.
///
/// Pure: time is passed in as a `Duration` since any fixed moment of a monotonic clock.
struct ReadinessLog: Sendable {
    enum Line: Sendable, Equatable {
        /// - Parameter count: how many lines this failure has had, this one included.
        case failing(check: String, reason: String, age: Duration, count: Int)
        /// A check whose failure was logged is ok again.
        case recovered(check: String, age: Duration)
    }

    private var failures: [String: LastingFault] = [:]

    /// Returns the lines to log now, at most one for each check. A failing check that is left out is forgotten: it is not
    /// known whether it would be ok.
    mutating func review(_ checks: [HealthChecks.Result], at now: Duration) -> [Line] {
        let names = Set(checks.map(\.name))
        failures = failures.filter { names.contains($0.key) }
        return checks.compactMap { check in
            guard let failure = check.failure else {
                guard let ended = failures.removeValue(forKey: check.name), ended.lines > 0 else { return nil }
                return .recovered(check: check.name, age: now - ended.began)
            }
            let began = now - (failure.age ?? .zero)
            var current = failures[check.name] ?? LastingFault(began: began)
            defer { failures[check.name] = current }
            // The reason may have changed: the check has failed since its first reason.
            current.extend(to: began)
            guard current.isLineDue(at: now) else { return nil }
            return .failing(check: check.name, reason: failure.reason, age: now - current.began, count: current.lines)
        }
    }
}
