// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthMonitorTestKit
import Testing

@testable import ControllerCore
@testable import HealthCore

struct ProbeScheduleTests {
    static let interval = Duration.seconds(60)

    static func schedule(of volumes: Int, seed: UInt64 = 1) -> ProbeSchedule<String> {
        var random = SeededGenerator(seed: seed)
        return ProbeSchedule<String>(
            interval: interval,
            (0..<volumes).map { "h\($0)" },
            at: .zero,
            using: &random
        )
    }

    @Test func `volumes that come and go without a probe leave nothing behind`() {
        var schedule = Self.schedule(of: 100)
        for number in 0..<20_000 {
            schedule.add("new\(number)", at: .seconds(number))
            schedule.remove("new\(number)")
            #expect(schedule.queuedItems <= 2 * 100 + 64 + 1)
        }
        let probed = Self.run(&schedule, until: Self.interval)
        #expect(probed.count == 100)
        #expect(probed.values.allSatisfy { $0.count == 1 })
    }

    /// Runs the schedule, one call after the other. Returns when each volume was probed.
    @discardableResult
    static func run(
        _ schedule: inout ProbeSchedule<String>,
        from start: Duration = .zero,
        until end: Duration,
        taking duration: Duration = .zero,
        outcome: (String, Duration) -> ProbeSchedule<String>.Outcome = { _, _ in .responded }
    ) -> [String: [Duration]] {
        var probed: [String: [Duration]] = [:]
        var now = start
        while now < end {
            switch schedule.next(at: now) {
            case .run(let handle):
                probed[handle, default: []].append(now)
                let outcome = outcome(handle, now)
                now += duration
                schedule.finish(handle, outcome, at: now)
            case .wait(let until): now = min(until ?? end, end)
            }
        }
        return probed
    }

    @Test func `the interval that is achieved has room for the gaps of all volumes, before any was probed`() {
        var random = SeededGenerator(seed: 1)
        var schedule = ProbeSchedule<String>(
            interval: Self.interval,
            minimumGap: .milliseconds(500),
            (0..<2000).map { "h\($0)" },
            at: .zero,
            using: &random
        )
        #expect(schedule.effectiveInterval == .seconds(1000))
        for number in 0..<1990 { schedule.remove("h\(number)") }
        #expect(schedule.effectiveInterval == Self.interval)
    }

    /// A driver that takes half a second for each of 2,000 volumes, one after the other.
    @Test func `the interval that is achieved follows a slow driver in the first round`() {
        var schedule = Self.schedule(of: 2000)
        let call = Duration.milliseconds(500)
        var called = 0
        for minute in 1...16 {
            let (start, end) = (max(call, Self.interval * (minute - 1)), Self.interval * minute)
            called += Self.run(&schedule, from: start, until: end, taking: call).count
            // So far none was called a second time.
            if minute > 3 { #expect(schedule.effectiveInterval > end * 9 / 10) }
        }
        #expect(called == 1919)
        #expect(schedule.effectiveInterval < Self.interval * 16)
        #expect(schedule.unresponsive(for: schedule.effectiveInterval * 2, at: Self.interval * 16).isEmpty)
        #expect(schedule.failing(for: .seconds(300), at: Self.interval * 16).isEmpty)
    }

    /// A driver that takes 63 seconds for the volumes of a minute: they are later by three seconds in each round.
    @Test func `the interval that is achieved by a driver that is slightly too slow is never twice as long`() {
        var schedule = Self.schedule(of: 100)
        let call = Duration.milliseconds(630)
        for number in 1..<6000 {
            Self.run(&schedule, from: call * number, until: call * (number + 1), taking: call)
            #expect(schedule.effectiveInterval < .seconds(75))
        }
    }

    @Test func `the time in which the driver is not called, or does not respond, is no interval that is achieved`() {
        var schedule = Self.schedule(of: 10)
        Self.run(&schedule, until: Self.interval * 2)
        schedule.resume(at: .seconds(3600))
        Self.run(&schedule, from: .seconds(3600), until: .seconds(3700))
        #expect(schedule.effectiveInterval < .seconds(75))
        Self.run(&schedule, from: .seconds(3700), until: .seconds(7200)) { _, _ in .failed }
        Self.run(&schedule, from: .seconds(7200), until: .seconds(7800))
        #expect(schedule.effectiveInterval < .seconds(75))
    }

    /// Otherwise a driver whose calls hang would extend the time in which they must succeed.
    @Test func `calls without a response do not make the interval that is achieved longer`() {
        var schedule = Self.schedule(of: 10)
        Self.run(&schedule, until: Self.interval)
        Self.run(&schedule, from: Self.interval, until: .seconds(600), taking: .seconds(15)) { _, _ in .failed }
        #expect(schedule.effectiveInterval < .seconds(75))
    }

    @Test func `a probe that was expedited and ends after its slot makes no gap`() {
        var schedule = Self.schedule(of: 100)
        Self.run(&schedule, until: .seconds(90))
        schedule.expedite(3, at: .seconds(90))
        var now = Duration.seconds(90)
        var called: [String] = []
        while called.count < 3 {
            switch schedule.next(at: now) {
            case .run(let handle): called.append(handle)
            case .wait(let until): now = until ?? now + .seconds(1)
            }
        }
        for handle in called { schedule.finish(handle, .responded, at: now + .seconds(10)) }
        Self.run(&schedule, until: .seconds(230))
        #expect(schedule.effectiveInterval < .seconds(75))
    }

    /// As when a list turns out to be unusable after some intervals.
    @Test func `a round in which no volume was probed is not complete`() {
        var random = SeededGenerator(seed: 1)
        var schedule = ProbeSchedule<String>(interval: Self.interval, [], at: .zero, using: &random)
        let end = Self.interval * 10
        schedule.beginRound(at: end)
        for number in 0..<3 { schedule.add("h\(number)", at: end) }
        #expect(schedule.completedRound(at: end) == nil)
        let next = end + Self.interval
        Self.run(&schedule, from: end, until: next) { _, _ in .failed }
        #expect(schedule.completedRound(at: next) == ProbeRound(volumes: 3, responses: 0))
    }

    /// EHM probes 20 of 2,000 volumes in the first 70 seconds.
    @Test func `each of 2,000 volumes is probed once in every interval`() {
        var schedule = Self.schedule(of: 2000)
        let probed = Self.run(&schedule, until: Self.interval * 3)
        #expect(probed.count == 2000)
        for times in probed.values {
            #expect(times.map { Int($0 / Self.interval) } == [0, 1, 2])
        }
    }

    @Test func `the calls are spread evenly, with jitter`() {
        var schedule = Self.schedule(of: 600)
        let times = Self.run(&schedule, until: Self.interval).values.flatMap(\.self)
        // Ten volumes a second, each somewhere in a tenth of its own.
        let perSecond = Dictionary(grouping: times) { Int($0 / .seconds(1)) }.mapValues(\.count)
        #expect(perSecond.count == 60)
        #expect(perSecond.values.allSatisfy { $0 == 10 })
        #expect(Set(times.map { $0 / .milliseconds(100) }).count == times.count)
    }

    @Test func `a failing volume is probed less often, and the others are not`() {
        var schedule = Self.schedule(of: 10)
        let probed = Self.run(&schedule, until: Self.interval * 32) { handle, _ in
            handle == "h3" ? .failed : .responded
        }
        let slots = probed["h3", default: []].map { Int($0 / Self.interval) }
        #expect(slots == [0, 1, 3, 7, 15, 23, 31])
        #expect(probed["h4"]?.count == 32)
    }

    @Test func `one response ends the back-off`() {
        var schedule = Self.schedule(of: 1)
        let probed = Self.run(&schedule, until: Self.interval * 8) { _, now in
            now < Self.interval * 3 ? .failed : .responded
        }
        #expect(probed["h0"]?.map { Int($0 / Self.interval) } == [0, 1, 3, 4, 5, 6, 7])
    }

    /// With few volumes, EHM probes the same one in bursts.
    @Test func `a late response skips slots and causes no burst`() throws {
        var schedule = Self.schedule(of: 1)
        guard case .wait(let slot?) = schedule.next(at: .zero) else {
            Issue.record("the first slot is not at zero")
            return
        }
        #expect(schedule.next(at: slot) == .run("h0"))
        #expect(schedule.next(at: slot + Self.interval * 5) == .wait(until: nil))
        schedule.finish("h0", .responded, at: slot + Self.interval * 5.5)
        #expect(schedule.next(at: slot + Self.interval * 5.5) == .wait(until: slot + Self.interval * 6))
    }

    /// The driver was unavailable, and every volume is overdue.
    @Test func `an outage ends without a burst`() {
        var schedule = Self.schedule(of: 2000)
        var now = Self.interval * 1.5
        let end = now + .seconds(1)
        var probed = 0
        while now < end {
            switch schedule.next(at: now) {
            case .run(let handle):
                probed += 1
                schedule.finish(handle, .responded, at: now)
            case .wait(let until): now = until ?? end
            }
        }
        // Twice the even rate of 33.3 per second.
        #expect((60...68).contains(probed))
    }

    @Test func `one failing volume does not make an interval incomplete, and is named after a while`() {
        var schedule = Self.schedule(of: 2)
        var rounds: [ProbeRound] = []
        var now = Duration.zero
        while now < Self.interval * 20 {
            if let round = schedule.completedRound(at: now) { rounds.append(round) }
            switch schedule.next(at: now) {
            case .run(let handle): schedule.finish(handle, handle == "h0" ? .failed : .responded, at: now)
            case .wait(let until): now = until ?? Self.interval * 20
            }
        }
        #expect(rounds.count == 19)
        #expect(rounds.allSatisfy { $0 == ProbeRound(volumes: 2, responses: 1) })
        #expect(schedule.unresponsive(for: Self.interval * 5, at: now).map(\.key) == ["h0"])
        #expect(schedule.unresponsive(for: Self.interval * 21, at: now).isEmpty)
    }

    @Test func `a response resets the time without one`() {
        var schedule = Self.schedule(of: 1)
        var now = Duration.zero
        while now < Self.interval * 20 {
            switch schedule.next(at: now) {
            case .run(let handle): schedule.finish(handle, now < Self.interval * 9 ? .failed : .responded, at: now)
            case .wait(let until): now = until ?? Self.interval * 20
            }
            if now > Self.interval * 6, now < Self.interval * 9 {
                #expect(schedule.unresponsive(for: Self.interval * 5, at: now).count == 1)
            }
        }
        #expect(schedule.unresponsive(for: Self.interval * 2, at: now).isEmpty)
    }

    @Test func `a removed volume is not probed`() {
        var schedule = Self.schedule(of: 2)
        schedule.remove("h0")
        let probed = Self.run(&schedule, until: Self.interval)
        #expect(Array(probed.keys) == ["h1"])
    }

    @Test func `a volume removed and added again is probed once`() {
        var schedule = Self.schedule(of: 1)
        schedule.remove("h0")
        schedule.add("h0", at: .zero)
        schedule.add("h0", at: .zero)
        let probed = Self.run(&schedule, until: Self.interval * 2)
        #expect(probed["h0"] == [.zero, Self.interval])
    }

    @Test func `an unavailable driver is not the volume's fault`() {
        var schedule = Self.schedule(of: 1)
        let probed = Self.run(&schedule, until: Self.interval * 5) { _, now in
            now < Self.interval * 3 ? .interrupted : .responded
        }
        #expect(probed["h0"]?.map { Int($0 / Self.interval) } == [0, 1, 2, 3, 4])
    }

    @Test func `a round is complete when every volume has responded in it`() {
        var schedule = Self.schedule(of: 5)
        Self.run(&schedule, until: Self.interval)
        // In the second interval no volume is probed.
        let times = [Self.interval - .seconds(1), Self.interval, Self.interval, Self.interval * 2]
        let completed = times.map { schedule.completedRound(at: $0) != nil }
        #expect(completed == [false, true, false, false])
    }

    /// Timers fire late, and calls have a gap between them: the last volumes of a round are probed just after its end, in
    /// every round.
    @Test(arguments: 0..<50 as Range<UInt64>)
    func `a round whose last volumes are probed just after its end is complete`(seed: UInt64) {
        var schedule = Self.schedule(of: 250, seed: seed)
        var rounds = 0
        var now = Duration.zero
        let end = Self.interval * 10 + .seconds(1)
        while now < end {
            if let round = schedule.completedRound(at: now) {
                rounds += 1
                #expect(round.volumes == 250)
            }
            switch schedule.next(at: now) {
            case .run(let handle): schedule.finish(handle, .responded, at: now)
            case .wait(let until): now = (until ?? end) + .milliseconds(1)
            }
        }
        #expect(rounds >= 9)
    }

    @Test(arguments: 0..<50 as Range<UInt64>)
    func `no volume is forgotten or probed twice at a time`(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var schedule = Self.schedule(of: 8, seed: seed)
        var present = Set((0..<8).map { "h\($0)" })
        var underWay: Set<String> = []
        var lastProbed: [String: Duration] = [:]
        var now = Duration.zero
        for _ in 0..<2000 {
            now += .milliseconds(Int.random(in: 0...4000, using: &random))
            switch Int.random(in: 0..<20, using: &random) {
            case 0:
                let handle = "h\(Int.random(in: 0..<8, using: &random))"
                if present.remove(handle) != nil {
                    schedule.remove(handle)
                    underWay.remove(handle)
                } else {
                    present.insert(handle)
                    schedule.add(handle, at: now)
                    lastProbed[handle] = now
                }
            case 1..<8:
                if let handle = underWay.sorted().randomElement(using: &random) {
                    underWay.remove(handle)
                    let outcomes: [ProbeSchedule<String>.Outcome] = [.responded, .failed, .unconfirmed, .interrupted]
                    schedule.finish(handle, outcomes.randomElement(using: &random) ?? .responded, at: now)
                }
            default:
                if case .run(let handle) = schedule.next(at: now) {
                    #expect(present.contains(handle), "seed \(seed)")
                    #expect(underWay.insert(handle).inserted, "seed \(seed)")
                    lastProbed[handle] = now
                }
            }
        }
        for handle in underWay { schedule.finish(handle, .responded, at: now) }
        var probed: Set<String> = []
        now += Self.interval * (ProbeSchedule<String>.maximumSkip + 1)
        for _ in 0..<20 {
            now += .milliseconds(100)
            if case .run(let handle) = schedule.next(at: now) { probed.insert(handle) }
        }
        #expect(probed == present, "seed \(seed)")
    }
}
