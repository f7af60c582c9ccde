// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthMonitorTestKit
import Testing

@testable import HealthCore

struct ProbeSchedulePostponeTests {
    static let interval = Duration.seconds(60)

    /// A schedule of the volume `a`, whose slot is at 10 seconds.
    static func schedule(maximumSkip: Int = 8) -> ProbeSchedule<String> {
        var random = SeededGenerator(seed: 1)
        var schedule = ProbeSchedule<String>(
            interval: interval,
            maximumSkip: maximumSkip,
            [],
            at: .zero,
            using: &random
        )
        schedule.add("a", at: .seconds(10))
        return schedule
    }

    @Test func `a volume that is added for later is due at that moment`() {
        var schedule = Self.schedule()
        #expect(schedule.next(at: .zero) == .wait(until: .seconds(10)))
        #expect(schedule.next(at: .seconds(10)) == .run("a"))
    }

    @Test func `a postponed volume is due again at the given moment, and keeps its slot`() {
        var schedule = Self.schedule()
        #expect(schedule.next(at: .seconds(10)) == .run("a"))
        schedule.postpone("a", until: .seconds(25))
        #expect(schedule.next(at: .seconds(20)) == .wait(until: .seconds(25)))
        #expect(schedule.next(at: .seconds(25)) == .run("a"))
        schedule.finish("a", .responded, at: .seconds(26))
        #expect(schedule.next(at: .seconds(26)) == .wait(until: .seconds(70)))
    }

    @Test func `a call that does not begin takes no place in the stream of calls`() {
        var random = SeededGenerator(seed: 1)
        var schedule = ProbeSchedule<String>(
            interval: Self.interval,
            minimumGap: .seconds(1),
            [],
            at: .zero,
            using: &random
        )
        for (number, key) in ["a", "b", "c"].enumerated() { schedule.add(key, at: .seconds(number)) }
        #expect(schedule.next(at: .seconds(10)) == .run("a"))
        #expect(schedule.next(at: .seconds(10)) == .wait(until: .seconds(11)))
        #expect(schedule.didNotBegin("b") == nil)
        #expect(schedule.didNotBegin("a") == .zero)
        #expect(schedule.next(at: .seconds(10)) == .run("b"))
        schedule.postpone("a", until: .zero)
        // Its place in the queue is the one that it had.
        #expect(schedule.next(at: .seconds(11)) == .run("a"))
        #expect(schedule.next(at: .seconds(12)) == .run("c"))
    }

    @Test func `only a volume that is being probed can be postponed`() {
        var schedule = Self.schedule()
        schedule.postpone("a", until: .seconds(99))
        schedule.postpone("b", until: .zero)
        #expect(schedule.next(at: .zero) == .wait(until: .seconds(10)))
        #expect(schedule.count == 1)
    }

    @Test func `the longest back-off is configurable`() {
        var schedule = Self.schedule(maximumSkip: 30)
        var now = Duration.seconds(10)
        for skip in [1, 2, 4, 8, 16, 30, 30] {
            #expect(schedule.next(at: now) == .run("a"))
            schedule.finish("a", .failed, at: now)
            now += Self.interval * skip
            #expect(schedule.next(at: now - .seconds(1)) == .wait(until: now))
        }
    }

    @Test func `a volume whose back-off ends is probed in its next slot, and backs off further if that fails`() {
        var schedule = Self.schedule()
        for slot in [10, 70, 190] {
            #expect(schedule.next(at: .seconds(slot)) == .run("a"))
            schedule.finish("a", .failed, at: .seconds(slot))
        }
        #expect(schedule.next(at: .seconds(200)) == .wait(until: .seconds(430)))
        schedule.endBackoff(of: "a", at: .seconds(200))
        #expect(schedule.next(at: .seconds(200)) == .wait(until: .seconds(250)))
        #expect(schedule.next(at: .seconds(250)) == .run("a"))
        schedule.finish("a", .failed, at: .seconds(250))
        #expect(schedule.next(at: .seconds(250)) == .wait(until: .seconds(730)))
    }

    @Test func `a postponed volume whose back-off ends is probed at once`() {
        var schedule = Self.schedule()
        #expect(schedule.next(at: .seconds(10)) == .run("a"))
        schedule.postpone("a", until: .seconds(1000))
        schedule.endBackoff(of: "a", at: .seconds(200))
        #expect(schedule.next(at: .seconds(200)) == .run("a"))
    }

    @Test func `the end of a back-off leaves a call alone that is under way`() {
        var schedule = Self.schedule()
        #expect(schedule.next(at: .seconds(10)) == .run("a"))
        schedule.endBackoff(of: "a", at: .seconds(10))
        #expect(schedule.next(at: .seconds(10)) == .wait(until: nil))
    }
}
