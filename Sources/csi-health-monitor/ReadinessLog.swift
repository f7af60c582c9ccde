// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HTTPEndpoint
import Logging

/// Decides which failing checks to log: a lasting failure repeatedly, at increasing intervals, so that the last minutes
/// of the log show it, and its recovery once.
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

    /// Returns the lines to log now, at most one for each check.
    mutating func review(_ checks: [HealthChecks.Result], at now: Duration) -> [Line] {
        checks.compactMap { check in
            guard let failure = check.failure else {
                guard let ended = failures.removeValue(forKey: check.name), ended.count > 0 else { return nil }
                return .recovered(check: check.name, age: now - ended.began)
            }
            let began = now - (failure.age ?? .zero)
            var current = failures[check.name] ?? Failure(began: began, next: now + Self.pauses[0])
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

/// Runs the readiness checks periodically, logs lasting failures, and logs a summary every hour in which all checks are
/// ok.
struct ReadinessReporter: Sendable {
    /// Returns the metadata of the hourly line.
    typealias Summary = @Sendable () -> Logger.Metadata

    static let interval = Duration.seconds(15)
    static let summaryInterval = Duration.seconds(3600)

    let checks: HealthChecks.NamedChecks
    let summary: Summary
    let logger: Logger

    /// Runs until it is cancelled.
    ///
    /// - Throws: only `CancellationError`.
    func run(clock: some Clock<Duration>) async throws {
        let start = clock.now
        var log = ReadinessLog()
        var nextSummary = Self.summaryInterval
        while true {
            try await clock.sleep(for: Self.interval)
            let now = start.duration(to: clock.now)
            let results = checks()
            for line in log.review(results, at: now) { write(line) }
            guard now >= nextSummary else { continue }
            nextSummary = now + Self.summaryInterval
            if results.allSatisfy({ $0.failure == nil }) { logger.notice("Readiness checks ok", metadata: summary()) }
        }
    }

    private func write(_ line: ReadinessLog.Line) {
        switch line {
        case .failing(let check, let reason, let age, let count):
            logger.warning(
                "Readiness check failing",
                metadata: [
                    "check": "\(check)", "reason": "\(reason)", "for": .stringConvertible(age.wholeSeconds),
                    "count": .stringConvertible(count),
                ]
            )
        case .recovered(let check, let age):
            logger.notice(
                "Readiness check recovered",
                metadata: ["check": "\(check)", "after": .stringConvertible(age.wholeSeconds)]
            )
        }
    }
}

extension Duration {
    fileprivate var wholeSeconds: Duration { .seconds(components.seconds) }
}
