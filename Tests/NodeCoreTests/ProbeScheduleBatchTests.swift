// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthMonitorTestKit
import Testing

@testable import HealthCore

/// A schedule with an interval of a minute and twelve batches in it, as the agent has.
struct ProbeScheduleBatchTests {
    static let interval = Duration.seconds(60)

    static func schedule(of keys: [Int], seed: UInt64 = 1) -> ProbeSchedule<Int> {
        var random = SeededGenerator(seed: seed)
        var schedule = ProbeSchedule<Int>(interval: interval, batches: 12, [], at: .zero, using: &random)
        for key in keys { schedule.add(key, at: interval * Double.random(in: 0..<1, using: &random)) }
        return schedule
    }

    /// Probes everything that is due until `end`; each call takes `duration`.
    static func run(
        _ schedule: inout ProbeSchedule<Int>,
        from begin: Duration = .zero,
        until end: Duration,
        duration: Duration = .milliseconds(1)
    ) -> [(key: Int, time: Duration)] {
        var calls: [(key: Int, time: Duration)] = []
        var now = begin
        while now < end {
            switch schedule.next(at: now) {
            case .run(let key):
                calls.append((key, now))
                schedule.finish(key, .responded, at: now + duration)
            case .wait(let due): now = due ?? end
            }
        }
        return calls
    }

    @Test func `the first probe is on time, later ones at the beginning of a batch`() {
        var schedule = Self.schedule(of: [])
        schedule.add(1, at: .seconds(33))
        let calls = Self.run(&schedule, until: .seconds(200))
        #expect(calls.map(\.time) == [.seconds(33), .seconds(90), .seconds(150)])
    }

    @Test(arguments: 0..<20 as Range<UInt64>)
    func `each volume is probed once in every interval, and the process wakes up for batches only`(seed: UInt64) {
        var schedule = Self.schedule(of: Array(0..<83), seed: seed)
        _ = Self.run(&schedule, until: Self.interval)
        for round in 1..<4 {
            let calls = Self.run(&schedule, from: Self.interval * round, until: Self.interval * (round + 1))
            #expect(calls.map(\.key).sorted() == Array(0..<83))
            let moments = Set(calls.map(\.time))
            #expect(moments.isSubset(of: Set((0..<12).map { Self.interval * round + .seconds(5) * $0 })))
        }
    }

    @Test func `schedules of several drivers have their batches at the same moments`() {
        var moments: Set<Duration> = []
        for seed in 0..<3 as Range<UInt64> {
            var schedule = Self.schedule(of: Array(0..<83), seed: seed)
            _ = Self.run(&schedule, until: Self.interval)
            moments.formUnion(Self.run(&schedule, from: Self.interval, until: Self.interval * 2).map(\.time))
        }
        #expect(moments.count == 12)
    }

    @Test func `a batch has at most twice its share of overdue volumes`() {
        var schedule = Self.schedule(of: Array(0..<120))
        // The driver was unavailable for ten minutes.
        let calls = Self.run(&schedule, from: .seconds(600), until: .seconds(630))
        let batches = Dictionary(grouping: calls, by: \.time).mapValues(\.count)
        #expect(batches == Dictionary(uniqueKeysWithValues: (0..<6).map { (.seconds(600 + 5 * $0), 20) }))
        #expect(Set(calls.map(\.key)).count == 120)
    }

    @Test func `a call that does not begin takes no place in its batch`() {
        var schedule = Self.schedule(of: [])
        for key in 0..<6 { schedule.add(key, at: .zero) }
        // The share of a batch is half a call.
        for key in 0..<4 { #expect(schedule.next(at: .seconds(60)) == .run(key)) }
        #expect(schedule.next(at: .seconds(60)) == .wait(until: .seconds(65)))
        schedule.didNotBegin(3)
        #expect(schedule.next(at: .seconds(60)) == .run(4))
        #expect(schedule.next(at: .seconds(60)) == .wait(until: .seconds(65)))
    }

    @Test func `one volume alone is probed in every interval`() {
        var schedule = Self.schedule(of: [7])
        let calls = Self.run(&schedule, until: .seconds(600))
        #expect(calls.count == 10)
    }
}
