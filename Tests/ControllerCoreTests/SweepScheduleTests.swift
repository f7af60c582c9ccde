// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Testing

@testable import ControllerCore
@testable import HealthCore

struct SweepScheduleTests {
    var schedule = SweepSchedule(interval: .seconds(300), initialBackoff: .seconds(5))

    @Test mutating func `sweeps begin at the interval`() {
        schedule.begin(at: .zero)
        #expect(schedule.end(complete: true, at: .seconds(20)) == .seconds(300))
    }

    @Test mutating func `a sweep longer than the interval is followed by the next at once`() {
        schedule.begin(at: .zero)
        #expect(schedule.end(complete: true, at: .seconds(400)) == .seconds(400))
    }

    @Test mutating func `failed sweeps back off up to the interval`() {
        var now = Duration.zero
        var waits: [Duration] = []
        for _ in 0..<9 {
            schedule.begin(at: now)
            let next = schedule.end(complete: false, at: now)
            waits.append(next - now)
            now = next
        }
        #expect(waits == [5, 10, 20, 40, 80, 160, 300, 300, 300].map { .seconds($0) })

        schedule.begin(at: now)
        _ = schedule.end(complete: true, at: now)
        schedule.begin(at: now)
        #expect(schedule.end(complete: false, at: now) == now + .seconds(5))
    }

    @Test mutating func `the back-off is never longer than a short interval`() {
        var schedule = SweepSchedule(interval: .seconds(1))
        schedule.begin(at: .zero)
        #expect(schedule.end(complete: false, at: .zero) == .seconds(1))
    }
}
