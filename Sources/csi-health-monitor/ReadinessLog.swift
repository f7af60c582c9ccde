// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Diagnostics
import Logging

/// Which failing checks are worth a line in the log now: what lasts is said again, ever more seldom, so that the log of the
/// last minutes has it, and its end is said too.
///
/// Pure: time is passed in as a `Duration` since any fixed moment of a monotonic clock.
struct ReadinessLog: Sendable {
    /// A line.
    enum Line: Sendable, Equatable {
        /// A check fails for so long, and is said for the `count`th time.
        case failing(check: String, reason: String, age: Duration, count: Int)
        /// A check that was said to fail is ok again.
        case recovered(check: String, age: Duration)
    }

    private struct Fault {
        var began: Duration
        var count = 0
        var next: Duration
    }

    /// From the beginning to the first line, and from each line to the next; the last one again and again.
    static let pauses: [Duration] = [60, 120, 300, 600].map { .seconds($0) }

    private var faults: [String: Fault] = [:]

    /// Looks at all checks. At most one line for each.
    mutating func review(_ checks: [HealthChecks.Result], at now: Duration) -> [Line] {
        checks.compactMap { check in
            guard let failure = check.failure else {
                guard let fault = faults.removeValue(forKey: check.name), fault.count > 0 else { return nil }
                return .recovered(check: check.name, age: now - fault.began)
            }
            let began = now - (failure.age ?? .zero)
            var fault = faults[check.name] ?? Fault(began: began, next: now + Self.pauses[0])
            defer { faults[check.name] = fault }
            // One of several reasons may have ended; it has failed since the first of them.
            fault.began = min(fault.began, began)
            guard now >= fault.next else { return nil }
            fault.count += 1
            fault.next = now + Self.pauses[min(fault.count, Self.pauses.count - 1)]
            return .failing(check: check.name, reason: failure.reason, age: now - fault.began, count: fault.count)
        }
    }
}

/// Looks at the readiness checks now and then, and logs what lasts; once an hour it says that the process works.
struct ReadinessReporter: Sendable {
    /// What the hourly line says.
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
            if results.allSatisfy({ $0.failure == nil }) { logger.notice("Working", metadata: summary()) }
        }
    }

    private func write(_ line: ReadinessLog.Line) {
        switch line {
        case .failing(let check, let reason, let age, let count):
            logger.warning(
                "Still failing",
                metadata: [
                    "check": "\(check)", "reason": "\(reason)", "for": .stringConvertible(age.wholeSeconds),
                    "count": .stringConvertible(count),
                ]
            )
        case .recovered(let check, let age):
            logger.notice(
                "Recovered",
                metadata: ["check": "\(check)", "after": .stringConvertible(age.wholeSeconds)]
            )
        }
    }
}

extension Duration {
    fileprivate var wholeSeconds: Duration { .seconds(components.seconds) }
}
