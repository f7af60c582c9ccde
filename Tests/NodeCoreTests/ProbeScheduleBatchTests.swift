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

    /// The beginnings of the batches of an interval.
    static func beginnings(_ round: Int) -> Set<Duration> {
        Set((0..<12).map { interval * round + .seconds(5) * $0 })
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
            #expect(Self.beginnings(round).isSubset(of: moments))
            // A batch with more than twice its share of slots needs another moment.
            #expect(moments.count <= 14)
        }
    }

    @Test func `schedules of several drivers have their batches at the same moments`() {
        var moments: Set<Duration> = []
        for seed in 0..<3 as Range<UInt64> {
            var schedule = Self.schedule(of: Array(0..<83), seed: seed)
            _ = Self.run(&schedule, until: Self.interval)
            moments.formUnion(Self.run(&schedule, from: Self.interval, until: Self.interval * 2).map(\.time))
        }
        #expect(Self.beginnings(1).isSubset(of: moments))
        #expect(moments.count <= 15)
    }

    @Test func `a batch begins with at most twice its share of overdue volumes, and others follow one by one`() {
        var schedule = Self.schedule(of: Array(0..<120))
        // The driver was unavailable for ten minutes.
        let calls = Self.run(&schedule, from: .seconds(600), until: .seconds(630))
        #expect(Set(calls.map(\.key)).count == 120)
        let moments = Dictionary(grouping: calls, by: \.time).mapValues(\.count)
        #expect(moments[.seconds(600)] == 20)
        #expect(moments[.seconds(605)] == 20)
        #expect(moments.filter { $0.key < .seconds(605) && $0.value > 1 }.map(\.key) == [.seconds(600)])
        let times = moments.keys.sorted()
        #expect(zip(times, times.dropFirst()).allSatisfy { $1 - $0 >= .milliseconds(100) })
    }

    /// Otherwise it would not be Ready for a while where its node has many volumes.
    @Test func `a new volume does not wait for the next batch when one is full`() {
        var schedule = Self.schedule(of: [])
        for key in 0..<30 { schedule.add(key, at: .zero) }
        _ = Self.run(&schedule, until: .seconds(60))
        schedule.add(99, at: .seconds(60))
        let calls = Self.run(&schedule, from: .seconds(60), until: .seconds(64))
        #expect(calls.contains { $0.key == 99 })
    }

    @Test func `a call that does not begin takes no place in its batch`() {
        var schedule = Self.schedule(of: [])
        for key in 0..<6 { schedule.add(key, at: .zero) }
        // The share of a batch is half a call.
        for key in 0..<4 { #expect(schedule.next(at: .seconds(60)) == .run(key)) }
        #expect(schedule.next(at: .seconds(60)) == .wait(until: .seconds(60) + .milliseconds(100)))
        schedule.didNotBegin(3)
        #expect(schedule.next(at: .seconds(60)) == .run(4))
        #expect(schedule.next(at: .seconds(60)) == .wait(until: .seconds(60) + .milliseconds(100)))
    }

    /// A volume whose NOT_FOUND is to be confirmed had a response.
    @Test func `a round with a response that is to be confirmed is complete, and says so`() {
        var schedule = Self.schedule(of: [])
        schedule.add(1, at: .seconds(5))
        #expect(schedule.next(at: .seconds(5)) == .run(1))
        schedule.finish(1, .unconfirmed, at: .seconds(5))
        #expect(schedule.next(at: .seconds(10)) == .run(1))
        schedule.finish(1, .responded, at: .seconds(10))
        #expect(schedule.completedRound(at: .seconds(60)) == ProbeRound(volumes: 1, responses: 1, isConfirmed: false))
        #expect(schedule.next(at: .seconds(65)) == .run(1))
        schedule.finish(1, .responded, at: .seconds(65))
        #expect(schedule.completedRound(at: .seconds(120)) == ProbeRound(volumes: 1, responses: 1, isConfirmed: true))
    }

    @Test func `one volume alone is probed in every interval`() {
        var schedule = Self.schedule(of: [7])
        let calls = Self.run(&schedule, until: .seconds(600))
        #expect(calls.count == 10)
    }
}
