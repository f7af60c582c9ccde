// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthMonitorTestKit
import KubernetesAPI
import Testing

@testable import LeaderElection

struct LeaderElectionStateMachineTests {
    typealias Machine = LeaderElectionStateMachine
    var machine: Machine

    init() throws {
        machine = Machine(identity: "us", timing: try LeaderElectionTiming())
    }

    /// A wall clock time. It must not influence any decision.
    func wall(_ seconds: Int64) -> Time {
        var time = Time()
        time.seconds = seconds
        return time
    }

    func record(_ holder: String, renewed: Int64 = 0, duration: Int32 = 15, transitions: Int32 = 3) -> LeaseRecord {
        LeaseRecord(
            holderIdentity: holder,
            leaseDurationSeconds: duration,
            acquireTime: wall(0),
            renewTime: wall(renewed),
            leaseTransitions: transitions
        )
    }

    @Test mutating func `a Lease that does not exist is created`() {
        let decision = machine.decide(on: nil, now: .zero, wall: wall(7))
        let expected = LeaseRecord(
            holderIdentity: "us",
            leaseDurationSeconds: 15,
            acquireTime: wall(7),
            renewTime: wall(7),
            leaseTransitions: 0
        )
        #expect(decision == .create(expected))
        #expect(machine.deadline == nil)

        _ = machine.didWrite(sent: .seconds(1), now: .seconds(1))
        #expect(machine.deadline == .seconds(13.5))
    }

    @Test mutating func `another candidate's Lease is acquired after it has not changed for its lease duration`() {
        let theirs = record("them")
        #expect(machine.decide(on: theirs, now: .seconds(100), wall: wall(0)) == .standby(until: .seconds(115)))
        #expect(machine.decide(on: theirs, now: .seconds(114), wall: wall(9999)) == .standby(until: .seconds(115)))
        #expect(machine.observedHolder == "them")

        guard case .update(let taken) = machine.decide(on: theirs, now: .seconds(115), wall: wall(42)) else {
            Issue.record("did not acquire an expired Lease")
            return
        }
        #expect(taken.holderIdentity == "us")
        #expect(taken.leaseTransitions == 4)
        #expect(taken.acquireTime == wall(42))
    }

    @Test mutating func `with an acquire delay, a Lease is acquired after it has had no holder for that long`() {
        func decide(_ record: LeaseRecord?, at seconds: Int) -> Machine.Decision {
            machine.decide(on: record, acquireDelay: .seconds(20), now: .seconds(seconds), wall: wall(0))
        }
        // Released.
        #expect(decide(record(""), at: 100) == .standby(until: .seconds(120)))
        #expect(decide(record(""), at: 119) == .standby(until: .seconds(120)))
        // Another candidate has acquired and released it: the delay starts again.
        #expect(decide(record("them"), at: 119) == .standby(until: .seconds(134)))
        #expect(decide(record(""), at: 121) == .standby(until: .seconds(141)))
        guard case .update = decide(record(""), at: 141) else {
            Issue.record("did not acquire a Lease without a holder")
            return
        }
        // Expired.
        #expect(decide(record("them"), at: 200) == .standby(until: .seconds(215)))
        #expect(decide(record("them"), at: 215) == .standby(until: .seconds(235)))
        // Held by this identity, which failed to release it.
        #expect(decide(record("us"), at: 300) == .standby(until: .seconds(315)))
        #expect(decide(record("us"), at: 316) == .standby(until: .seconds(335)))
        // It does not exist.
        machine = Machine(identity: "us", timing: machine.timing)
        #expect(decide(nil, at: 400) == .standby(until: .seconds(420)))
        guard case .create = decide(nil, at: 420) else {
            Issue.record("did not create a Lease")
            return
        }
    }

    /// The API server stores no record without a change, and other candidates would see no renewal.
    @Test(arguments: [0, 999_999_000])
    mutating func `a leader whose clock stands still renews with another time`(nanos: Int32) {
        var stopped = wall(7)
        stopped.nanos = nanos
        var held = record("us")
        held.renewTime = stopped
        guard case .update(let renewed) = machine.decide(on: held, now: .zero, wall: stopped) else {
            Issue.record("did not renew its own Lease")
            return
        }
        let time = (renewed.renewTime.seconds, renewed.renewTime.nanos)
        #expect(time == (nanos == 0 ? (7, 1000) : (8, 0)))
    }

    @Test mutating func `a leader renews without the acquire delay`() {
        _ = machine.decide(on: nil, now: .zero, wall: wall(0))
        _ = machine.didWrite(sent: .zero, now: .zero)
        let renewal = machine.decide(on: record("us"), acquireDelay: .seconds(60), now: .seconds(5), wall: wall(0))
        guard case .update = renewal else {
            Issue.record("did not renew")
            return
        }
        // Deleted.
        let creation = machine.decide(on: nil, acquireDelay: .seconds(60), now: .seconds(10), wall: wall(0))
        guard case .create = creation else {
            Issue.record("did not create the Lease again")
            return
        }
    }

    @Test mutating func `every observed renewal restarts the wait`() {
        _ = machine.decide(on: record("them", renewed: 1), now: .zero, wall: wall(0))
        let renewed = record("them", renewed: 2)
        #expect(machine.decide(on: renewed, now: .seconds(14), wall: wall(0)) == .standby(until: .seconds(29)))
    }

    @Test mutating func `the holder's lease duration counts, not the candidate's`() {
        let decision = machine.decide(on: record("them", duration: 60), now: .zero, wall: wall(0))
        #expect(decision == .standby(until: .seconds(60)))
    }

    @Test mutating func `the times in the Lease are never compared with the local clock`() {
        // A holder whose clock is a day behind, or ahead, holds the Lease all the same.
        for renewed: Int64 in [-86_400, 86_400] {
            var machine = machine
            let decision = machine.decide(on: record("them", renewed: renewed), now: .seconds(5), wall: wall(0))
            #expect(decision == .standby(until: .seconds(20)))
        }
    }

    @Test mutating func `a released Lease is acquired at once`() {
        guard case .update(let taken) = machine.decide(on: record("", duration: 1), now: .zero, wall: wall(1)) else {
            Issue.record("did not acquire a released Lease")
            return
        }
        #expect(taken.leaseTransitions == 4)
    }

    @Test mutating func `a renewal keeps acquireTime and leaseTransitions`() {
        let ours = record("us", renewed: 1)
        guard case .update(let renewed) = machine.decide(on: ours, now: .seconds(5), wall: wall(6)) else {
            Issue.record("did not renew its own Lease")
            return
        }
        #expect(renewed.acquireTime == ours.acquireTime)
        #expect(renewed.leaseTransitions == ours.leaseTransitions)
        #expect(renewed.renewTime == wall(6))
    }

    @Test mutating func `the deadline counts from when the renewal was sent, and is before the end of the lease`() {
        _ = machine.didWrite(sent: .seconds(100), now: .seconds(100))
        #expect(machine.deadline == .seconds(112.5))
    }

    @Test func `the renew deadline begins with the first attempt, as in client-go`() throws {
        let timing = try LeaderElectionTiming(
            leaseDuration: .seconds(60),
            renewDeadline: .seconds(15),
            retryPeriod: .seconds(10)
        )
        var machine = Machine(identity: "us", timing: timing)
        _ = machine.didWrite(sent: .zero, now: .zero)
        #expect(machine.nextRenewal == .seconds(10))
        #expect(machine.deadline == .seconds(25))
    }

    /// A process that was frozen past its deadline finds the response when it continues.
    @Test mutating func `a renewal whose response comes after the deadline does not prolong the term`() {
        let results = [(sent: 0.0, now: 0.0), (5, 13), (5, 12)].map {
            machine.didWrite(sent: .seconds($0.sent), now: .seconds($0.now))
        }
        #expect(results == [true, false, true])
        #expect(machine.deadline == .seconds(17.5))
    }

    @Test mutating func `a failed renewal is retried at once, and then every second`() {
        _ = machine.didWrite(sent: .seconds(100), now: .seconds(100))
        #expect(machine.nextRenewal == .seconds(105))
        machine.didFail(attempt: .seconds(105))
        #expect(machine.nextRenewal == .seconds(105))
        machine.didFail(attempt: .milliseconds(105200))
        #expect(machine.nextRenewal == .milliseconds(106200))
        machine.didFail(attempt: .milliseconds(106200))
        #expect(machine.nextRenewal == .milliseconds(107200))
        #expect(machine.deadline == .seconds(112.5))
        _ = machine.didWrite(sent: .milliseconds(107200), now: .milliseconds(107200))
        #expect(machine.nextRenewal == .milliseconds(112200))
        machine.didFail(attempt: .milliseconds(112200))
        #expect(machine.nextRenewal == .milliseconds(112200))
    }

    @Test func `retries are at most a retry period apart`() throws {
        let timing = try LeaderElectionTiming(
            leaseDuration: .seconds(3),
            renewDeadline: .seconds(2),
            retryPeriod: .seconds(0.5)
        )
        var machine = Machine(identity: "us", timing: timing)
        _ = machine.didWrite(sent: .zero, now: .zero)
        machine.didFail(attempt: .milliseconds(500))
        machine.didFail(attempt: .milliseconds(600))
        #expect(machine.nextRenewal == .milliseconds(1100))
    }

    /// An attempt 5 s after the last renewal has half of the renew deadline. Two attempts that hang leave time for a
    /// third.
    @Test mutating func `the timeout of an attempt leaves time for another one`() {
        _ = machine.didWrite(sent: .zero, now: .zero)
        var now = Duration.seconds(5)
        #expect(machine.renewalTimeout(now: now) == .seconds(5))
        for _ in 0..<2 {
            let limit = machine.renewalTimeout(now: now)
            machine.didFail(attempt: now)
            now += limit
            #expect(machine.nextRenewal <= now)
        }
        #expect(machine.renewalTimeout(now: now) > .milliseconds(500))
        #expect(machine.renewalTimeout(now: .seconds(13)) == .zero)
    }

    /// Other candidates may acquire the Lease when its stored duration has passed since the last renewal was stored.
    @Test(arguments: 0..<500 as Range<UInt64>)
    func `a leader that fails to renew stops before the lease expires`(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        func period(_ range: ClosedRange<Int>) -> Duration { .milliseconds(Int.random(in: range, using: &random)) }
        guard
            let timing = try? LeaderElectionTiming(
                leaseDuration: period(1000...30_000),
                renewDeadline: period(500...20_000),
                retryPeriod: period(1...10_000)
            )
        else { return }
        var machine = Machine(identity: "us", timing: timing)
        let decision = machine.decide(on: nil, now: .seconds(1), wall: wall(0))
        guard case .create(let record) = decision else {
            Issue.record("did not create the Lease")
            return
        }
        _ = machine.didWrite(sent: .seconds(1), now: .seconds(1))
        var now = machine.nextRenewal
        for _ in 0..<20 {
            machine.didFail(attempt: now)
            now = max(now + period(0...3000), machine.nextRenewal)
        }
        let deadline = try #require(machine.deadline)
        #expect(deadline < .seconds(1) + .seconds(Int64(record.leaseDurationSeconds)))
        #expect(deadline >= .seconds(1) + timing.renewDeadline)
    }

    @Test func `only a Lease that this candidate holds is released`() {
        #expect(machine.release(record("them"), wall: wall(1)) == nil)
        let released = machine.release(record("us"), wall: wall(1))
        #expect(released?.holderIdentity == "")
        #expect(released?.leaseTransitions == 3)
        #expect(released?.leaseDurationSeconds == 1)
    }

    /// Candidates with different delays contend for one Lease, which only its resourceVersion guards. Their wall clocks
    /// jump, and another client annotates the Lease.
    @Test(arguments: 0..<200 as Range<UInt64>)
    func `there are never two leaders`(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let timing = try LeaderElectionTiming()
        var machines = (0..<3).map { Machine(identity: "candidate-\($0)", timing: timing) }
        var lease: (record: LeaseRecord, version: Int)?
        var now = Duration.zero
        for _ in 0..<300 {
            now += .milliseconds(Int.random(in: 0...4000, using: &random))
            let number = Int.random(in: 0..<machines.count, using: &random)
            // A leader past its deadline has stopped.
            for other in machines.indices where (machines[other].deadline ?? now) < now {
                machines[other] = Machine(identity: "candidate-\(other)", timing: timing)
            }
            if Int.random(in: 0..<5, using: &random) == 0 { lease?.version += 1 }
            let seen = lease
            let decision = machines[number].decide(
                on: seen?.record,
                now: now,
                wall: wall(Int64.random(in: .min ... .max, using: &random))
            )
            // Time passes between decision and write, and other candidates may write.
            let sent = now
            now += .milliseconds(Int.random(in: 0...500, using: &random))
            switch decision {
            case .standby:
                guard machines[number].deadline != nil else { break }
                machines[number] = Machine(identity: "candidate-\(number)", timing: timing)
            case .create(let record) where lease == nil, .update(let record) where lease?.version == seen?.version:
                lease = (record, (lease?.version ?? 0) + 1)
                _ = machines[number].didWrite(sent: sent, now: now)
            case .create, .update:
                break
            }
            let leaders = machines.filter { ($0.deadline ?? .zero) > now }
            #expect(leaders.count <= 1, "seed \(seed) at \(now): \(leaders.map(\.identity))")
        }
    }
}
