// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthMonitorTestKit
import Testing

@testable import HealthCore

@Suite struct CallFailuresTests {
    private var failures = CallFailures(longestGap: .seconds(60))

    @Test mutating func `failures that last are logged at once, then at increasing intervals`() {
        var minutes: [Int64] = []
        for second in stride(from: Int64(0), through: 3600, by: 10) {
            switch failures.failed(code: "INTERNAL", at: .seconds(1000 + second)) {
            case .first:
                #expect(second == 0)
                minutes.append(0)
            case .lasting(let age, let count):
                #expect(age == .seconds(second))
                #expect(count == second / 10 + 1)
                minutes.append(second / 60)
            case .quiet: break
            }
        }
        #expect(minutes == [0, 1, 3, 8, 18, 28, 38, 48, 58])
        #expect(failures.removeEnded(at: .seconds(4600)).isEmpty)
    }

    @Test mutating func `each code has its own first line`() {
        #expect(failures.failed(code: "INTERNAL", at: .zero) == .first)
        #expect(failures.failed(code: "ABORTED", at: .seconds(70)) == .first)
        #expect(failures.failed(code: "INTERNAL", at: .seconds(70)) == .lasting(age: .seconds(70), count: 2))
        #expect(failures.failed(code: "ABORTED", at: .seconds(80)) == .quiet)
    }

    @Test mutating func `a code with which no call fails any more ends once, and is logged anew when it comes back`() {
        for second in 0...5 { _ = failures.failed(code: "INTERNAL", at: .seconds(second)) }
        _ = failures.failed(code: "ABORTED", at: .seconds(300))
        #expect(failures.removeEnded(at: .seconds(604)).isEmpty)
        let ended = failures.removeEnded(at: .seconds(605))
        #expect(ended == [.init(code: "INTERNAL", age: .seconds(5), count: 6)])
        #expect(failures.removeEnded(at: .seconds(606)).isEmpty)
        #expect(failures.failed(code: "INTERNAL", at: .seconds(607)) == .first)
        #expect(failures.failed(code: "ABORTED", at: .seconds(607)) == .lasting(age: .seconds(307), count: 2))
    }

    @Test func `failures that come once per long interval have not ended in between`() {
        var failures = CallFailures(longestGap: .seconds(3600))
        #expect(failures.failed(code: "INTERNAL", at: .zero) == .first)
        for hour in 1...5 {
            #expect(failures.removeEnded(at: .seconds(3600 * hour - 1)).isEmpty)
            let line = failures.failed(code: "INTERNAL", at: .seconds(3600 * hour))
            #expect(line == .lasting(age: .seconds(3600 * hour), count: hour + 1))
        }
        #expect(failures.removeEnded(at: .seconds(7 * 3600)).count == 1)
    }

    /// A volume whose calls fail is skipped for more and more intervals.
    @Test func `calls for one volume that keep failing have not ended in between`() {
        let interval = Duration.seconds(300)
        var failures = CallFailures(longestGap: interval * ProbeSchedule<String>.maximumSkip)
        var random = SeededGenerator(seed: 1)
        var schedule = ProbeSchedule(interval: interval, ["volume"], at: .zero, using: &random)
        var (now, lines) = (Duration.zero, [CallFailures.Line]())
        while now < .seconds(6 * 3600) {
            #expect(failures.removeEnded(at: now).isEmpty)
            if case .run(let key) = schedule.next(at: now) {
                lines.append(failures.failed(code: "DEADLINE_EXCEEDED", at: now))
                schedule.finish(key, .failed, at: now)
            }
            now += .seconds(10)
        }
        #expect(lines.count > 8)
        #expect(lines.count { $0 == .first } == 1)
    }
}
