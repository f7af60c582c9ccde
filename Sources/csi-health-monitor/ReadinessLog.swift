// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HTTPEndpoint

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

    private struct Failure {
        var began: Duration
        /// Lines logged so far.
        var count = 0
        /// When the next line is due.
        var next: Duration
    }

    /// From the start of a failure to its first line, and from each line to the next; the last pause repeats.
    static let pauses: [Duration] = [60, 120, 300, 600].map { .seconds($0) }

    private var failures: [String: Failure] = [:]

    /// Returns the lines to log now, at most one for each check. A failing check that is left out is forgotten: it is not
    /// known whether it would be ok.
    mutating func review(_ checks: [HealthChecks.Result], at now: Duration) -> [Line] {
        let names = Set(checks.map(\.name))
        failures = failures.filter { names.contains($0.key) }
        return checks.compactMap { check in
            guard let failure = check.failure else {
                guard let ended = failures.removeValue(forKey: check.name), ended.count > 0 else { return nil }
                return .recovered(check: check.name, age: now - ended.began)
            }
            let began = now - (failure.age ?? .zero)
            var current = failures[check.name] ?? Failure(began: began, next: began + Self.pauses[0])
            defer { failures[check.name] = current }
            // The reason may have changed: the check has failed since its first reason.
            current.began = min(current.began, began)
            guard now >= current.next else { return nil }
            current.count += 1
            current.next = now + Self.pauses[min(current.count, Self.pauses.count - 1)]
            return .failing(check: check.name, reason: failure.reason, age: now - current.began, count: current.count)
        }
    }
}
