// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthMonitorTestKit
import Testing

@testable import HealthCore

struct RecheckScheduleTests {
    private static let timing = RecheckTiming(interval: .seconds(15), period: .seconds(60))

    /// Each call is responded to at once: the volume is as unhealthy as before.
    private static func run(
        unhealthy: Int,
        of volumes: Int,
        until end: Duration
    ) throws -> [Int: [Duration]] {
        var schedule = RecheckSchedule<Int>(try #require(timing))
        for key in 0..<unhealthy { schedule.set(key, isUnhealthy: true, at: .zero) }
        var calls: [Int: [Duration]] = [:]
        var now = Duration.zero
        while now < end {
            switch schedule.next(at: now, notBefore: .zero, volumes: volumes) {
            case .run(let key):
                calls[key, default: []].append(now)
                schedule.set(key, isUnhealthy: true, at: now)
            case .wait(let due): now = due ?? end
            }
        }
        return calls
    }

    @Test func `an unhealthy volume is due an interval after each response`() throws {
        let calls = try Self.run(unhealthy: 1, of: 20_000, until: .seconds(61))
        #expect(calls == [0: [.seconds(15), .seconds(30), .seconds(45), .seconds(60)]])
    }

    @Test func `an interval that is not shorter than the other one schedules nothing`() {
        #expect(RecheckTiming(interval: .seconds(60), period: .seconds(60)) == nil)
        #expect(RecheckTiming(interval: .zero, period: .seconds(60)) == nil)
    }

    /// The figures of the documentation.
    @Test(arguments: [2000, 20_000])
    func `in an outage there are at most a quarter more calls`(unhealthy: Int) throws {
        let calls = try Self.run(unhealthy: unhealthy, of: 20_000, until: .seconds(600))
        let total = calls.values.map(\.count).reduce(0, +)
        // Ten periods, in the first of which calls begin after 15 seconds.
        #expect(total <= 5000 * 10)
        #expect(total >= 5000 * 39 / 4)
        // All have their turn.
        #expect(calls.count == unhealthy)
        let counts = calls.values.map(\.count)
        #expect((counts.max() ?? 0) - (counts.min() ?? 0) <= 1)
    }

    @Test func `a few volumes of a few get all their calls`() throws {
        let calls = try Self.run(unhealthy: 5, of: 5, until: .seconds(600))
        #expect(calls.values.allSatisfy { $0.count >= 33 })
    }

    @Test func `a volume whose call fails has no more calls until a response shows it as unhealthy`() throws {
        var schedule = RecheckSchedule<Int>(try #require(Self.timing))
        schedule.set(1, isUnhealthy: true, at: .zero)
        var step = schedule.next(at: .seconds(15), notBefore: .zero, volumes: 1)
        #expect(step == .run(1))
        // A call that is under way serves others.
        var begins = schedule.begin(1)
        #expect(!begins)
        schedule.set(1, isUnhealthy: false, at: .seconds(16))
        begins = schedule.begin(1)
        #expect(begins)
        step = schedule.next(at: .seconds(3600), notBefore: .zero, volumes: 1)
        #expect(step == .wait(until: nil))
        schedule.set(1, isUnhealthy: true, at: .seconds(3600))
        step = schedule.next(at: .seconds(3600), notBefore: .zero, volumes: 1)
        #expect(step == .wait(until: .seconds(3615)))
    }

    @Test(arguments: 0..<100 as Range<UInt64>)
    func `only unhealthy volumes are called for, one call at a time, and not too soon`(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        var schedule = RecheckSchedule<Int>(try #require(Self.timing))
        let volumes = Int.random(in: 1...400, using: &random)
        /// The last response for each unhealthy volume; nil while a call is under way.
        var model: [Int: Duration?] = [:]
        var (now, calls) = (Duration.zero, [Duration]())
        for _ in 0..<2000 {
            let key = Int.random(in: 0..<volumes, using: &random)
            switch Int.random(in: 0..<6, using: &random) {
            case 0, 1:
                schedule.set(key, isUnhealthy: true, at: now)
                model[key] = .some(now)
            case 2:
                schedule.set(key, isUnhealthy: false, at: now)
                model[key] = nil
            case 3:
                let isUnderWay = model[key] == .some(nil)
                let begins = schedule.begin(key)
                #expect(begins == !isUnderWay)
                if model[key] != nil { model[key] = .some(nil) }
            default:
                switch schedule.next(at: now, notBefore: .zero, volumes: volumes) {
                case .run(let key):
                    let last = try #require(model[key] ?? nil, "seed \(seed): not unhealthy, or under way")
                    #expect(now - last >= .seconds(15))
                    model[key] = .some(nil)
                    calls.append(now)
                case .wait(let due):
                    let waiting = model.values.compactMap(\.self)
                    #expect((due == nil) == waiting.isEmpty)
                    if let due, let first = waiting.min() { #expect(due >= first + .seconds(15)) }
                    now += .milliseconds(Int.random(in: 0...500, using: &random))
                }
            }
        }
        let limit = max(volumes / 4, 40) + 1
        for call in calls {
            #expect(calls.count { $0 >= call && $0 - call < .seconds(60) } <= limit, "seed \(seed)")
        }
    }
}
