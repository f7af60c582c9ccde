// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HTTPEndpoint
import HealthCore
import Logging

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
