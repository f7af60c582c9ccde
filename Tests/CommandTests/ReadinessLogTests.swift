// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HTTPEndpoint
import HealthMonitorTestKit
import HealthRuntime
import InMemoryLogging
import Logging
import Synchronization
import Testing

@testable import csi_health_monitor

@Suite(.timeLimit(.minutes(50))) struct ReadinessLogTests {
    private func check(_ reason: String?, age: Duration? = nil) -> [HealthChecks.Result] {
        [HealthChecks.Result(name: "watches", failure: reason.map { .init(age: age, reason: $0) })]
    }

    @Test func `a lasting failure is logged at increasing intervals`() {
        var log = ReadinessLog()
        var minutes: [Int64] = []
        for second in stride(from: 0, through: 3600, by: 15) {
            for line in log.review(check("403", age: .seconds(second)), at: .seconds(1000 + second)) {
                guard case .failing("watches", "403", let age, let count) = line else {
                    Issue.record("\(line)")
                    return
                }
                minutes.append(age.components.seconds / 60)
                #expect(count == minutes.count)
            }
        }
        #expect(minutes == [1, 3, 8, 18, 28, 38, 48, 58])
    }

    @Test func `a recovery is logged once, and only if the failure was logged`() {
        var log = ReadinessLog()
        #expect(log.review(check("down", age: .zero), at: .zero).isEmpty)
        #expect(log.review(check(nil), at: .seconds(15)).isEmpty)
        #expect(log.review(check("down", age: .zero), at: .seconds(30)).isEmpty)
        #expect(log.review(check("down", age: .seconds(60)), at: .seconds(90)).count == 1)
        #expect(
            log.review(check(nil), at: .seconds(105)) == [.recovered(check: "watches", age: .seconds(75))]
        )
        #expect(log.review(check(nil), at: .seconds(120)).isEmpty)
    }

    @Test func `a check that is left out is forgotten, not reported as recovered`() {
        var log = ReadinessLog()
        #expect(log.review(check("down", age: .seconds(60)), at: .seconds(60)).count == 1)
        #expect(log.review([], at: .seconds(75)).isEmpty)
        #expect(log.review(check(nil), at: .seconds(90)).isEmpty)
    }

    @Test func `a failure that has lasted a minute when it is first seen is logged at once`() {
        var log = ReadinessLog()
        #expect(
            log.review(check("down", age: .seconds(60)), at: .seconds(1000))
                == [.failing(check: "watches", reason: "down", age: .seconds(60), count: 1)]
        )
        #expect(log.review(check("down", age: .seconds(179)), at: .seconds(1119)).isEmpty)
        #expect(log.review(check("down", age: .seconds(180)), at: .seconds(1120)).count == 1)
    }

    @Test func `reports that fail for a minute fail their check, and a queue that is merely long does not`() {
        #expect(ReadinessChecks.reports(nil).failure == nil)
        #expect(ReadinessChecks.reports(Self.reports(age: .seconds(59))).failure == nil)
        let check = ReadinessChecks.reports(Self.reports(age: .seconds(60)))
        #expect(check.name == "reports")
        #expect(check.failure?.age == .seconds(60))
        #expect(
            check.failure?.reason
                == "reports failed and are retried: 3, reports that wait: 40, the last error: create events: 403"
        )
    }

    private static func reports(age: Duration) -> ReportFailure {
        ReportFailure(failing: 3, waiting: 40, age: age, error: "create events: 403")
    }

    @Test func `reports that fail for an hour have eight lines, and one when they reach the API server`() {
        var log = ReadinessLog()
        var lines: [ReadinessLog.Line] = []
        for second in stride(from: 0, through: 3600, by: 15) {
            let check = ReadinessChecks.reports(Self.reports(age: .seconds(second)))
            lines += log.review([check], at: .seconds(second))
        }
        #expect(lines.count == 8)
        #expect(
            log.review([ReadinessChecks.reports(nil)], at: .seconds(3615)) == [
                .recovered(check: "reports", age: .seconds(3615))
            ]
        )
    }

    private final class Check: Sendable {
        let isFailing = Atomic(true)
    }

    @Test func `the reporter logs a lasting failure, its recovery, and every hour that all checks are ok`() async {
        let clock = ManualClock()
        let log = InMemoryLogHandler()
        let check = Check()
        await withTaskGroup { group in
            group.addTask {
                let reporter = ReadinessReporter(
                    checks: {
                        let failure: HealthChecks.Failure? =
                            check.isFailing.load(ordering: .relaxed) ? .init(reason: "no") : nil
                        return [HealthChecks.Result(name: "lease", failure: failure)]
                    },
                    summary: { ["volumes": "7"] },
                    logger: Logger(label: "test") { _ in log }
                )
                try? await reporter.run(clock: clock)
            }
            while log.entries.count < 1 {
                await clock.sleepers(1)
                clock.advance(by: ReadinessReporter.interval)
                await pollingPause()
            }
            check.isFailing.store(false, ordering: .relaxed)
            while log.entries.count < 3 {
                await clock.sleepers(1)
                clock.advance(by: ReadinessReporter.interval)
                await pollingPause()
            }
            group.cancelAll()
            #expect(
                log.entries.map { "\($0.message)" } == [
                    "Readiness check failing", "Readiness check recovered", "Readiness checks ok",
                ]
            )
            #expect(log.entries.last?.metadata["volumes"] == "7")
        }
    }
}
