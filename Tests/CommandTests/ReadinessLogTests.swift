// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HTTPEndpoint
import HealthMonitorTestKit
import InMemoryLogging
import Logging
import Synchronization
import Testing

@testable import csi_health_monitor

@Suite(.timeLimit(.minutes(30))) struct ReadinessLogTests {
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
