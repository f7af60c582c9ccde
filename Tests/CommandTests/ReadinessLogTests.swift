// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Diagnostics
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

    @Test func `what lasts is said again, ever more seldom`() {
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

    @Test func `the end of what was said is said once, that of nothing is not`() {
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

    private final class Fault: Sendable {
        let isThere = Atomic(true)
    }

    @Test func `the reporter logs what lasts, its end, and once an hour that the process works`() async {
        let clock = ManualClock()
        let log = InMemoryLogHandler()
        let fault = Fault()
        await withTaskGroup { group in
            group.addTask {
                let reporter = ReadinessReporter(
                    checks: {
                        let failure: HealthChecks.Failure? =
                            fault.isThere.load(ordering: .relaxed) ? .init(reason: "no") : nil
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
            fault.isThere.store(false, ordering: .relaxed)
            while log.entries.count < 3 {
                await clock.sleepers(1)
                clock.advance(by: ReadinessReporter.interval)
                await pollingPause()
            }
            group.cancelAll()
            #expect(log.entries.map { "\($0.message)" } == ["Still failing", "Recovered", "Working"])
            #expect(log.entries.last?.metadata["volumes"] == "7")
        }
    }
}
