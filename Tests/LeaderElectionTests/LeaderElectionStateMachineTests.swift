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

    /// The wall clock; its value must never matter.
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

    @Test mutating func `without a lease it creates one`() {
        let decision = machine.look(at: nil, version: "", now: .zero, wall: wall(7))
        let expected = LeaseRecord(
            holderIdentity: "us",
            leaseDurationSeconds: 15,
            acquireTime: wall(7),
            renewTime: wall(7),
            leaseTransitions: 0
        )
        #expect(decision == .create(expected))
        #expect(machine.deadline == nil)

        machine.didWrite(sent: .seconds(1))
        #expect(machine.deadline == .seconds(13.5))
    }

    @Test mutating func `anothers lease is left alone until it has not changed for its duration`() {
        let theirs = record("them")
        #expect(
            machine.look(at: theirs, version: "1", now: .seconds(100), wall: wall(0)) == .stand(until: .seconds(115))
        )
        #expect(
            machine.look(at: theirs, version: "1", now: .seconds(114), wall: wall(9999)) == .stand(until: .seconds(115))
        )
        #expect(machine.observedHolder == "them")

        guard case .update(let taken) = machine.look(at: theirs, version: "1", now: .seconds(115), wall: wall(42))
        else {
            Issue.record("did not take a lease that ran out")
            return
        }
        #expect(taken.holderIdentity == "us")
        #expect(taken.leaseTransitions == 4)
        #expect(taken.acquireTime == wall(42))
    }

    @Test mutating func `with a handicap a Lease is taken when it has had no holder for so long`() {
        func look(_ record: LeaseRecord?, _ version: String, at seconds: Int) -> Machine.Decision {
            machine.look(at: record, version: version, handicap: .seconds(20), now: .seconds(seconds), wall: wall(0))
        }
        // Released.
        #expect(look(record(""), "1", at: 100) == .stand(until: .seconds(120)))
        #expect(look(record(""), "1", at: 119) == .stand(until: .seconds(120)))
        // Another candidate took it meanwhile and released it: the time begins anew.
        #expect(look(record("them"), "2", at: 119) == .stand(until: .seconds(134)))
        #expect(look(record(""), "3", at: 121) == .stand(until: .seconds(141)))
        guard case .update = look(record(""), "3", at: 141) else {
            Issue.record("did not take a lease without a holder")
            return
        }
        // Run out.
        #expect(look(record("them"), "4", at: 200) == .stand(until: .seconds(215)))
        #expect(look(record("them"), "4", at: 215) == .stand(until: .seconds(235)))
        // One of our own that could not be given back.
        #expect(look(record("us"), "5", at: 300) == .stand(until: .seconds(315)))
        #expect(look(record("us"), "5", at: 316) == .stand(until: .seconds(335)))
        // None.
        machine = Machine(identity: "us", timing: machine.timing)
        #expect(look(nil, "", at: 400) == .stand(until: .seconds(420)))
        guard case .create = look(nil, "", at: 420) else {
            Issue.record("did not create a lease")
            return
        }
    }

    @Test mutating func `a leader renews whatever its handicap`() {
        _ = machine.look(at: nil, version: "", now: .zero, wall: wall(0))
        machine.didWrite(sent: .zero)
        let renewal = machine.look(
            at: record("us"),
            version: "1",
            handicap: .seconds(60),
            now: .seconds(5),
            wall: wall(0)
        )
        guard case .update = renewal else {
            Issue.record("did not renew")
            return
        }
        // Deleted meanwhile.
        let creation = machine.look(at: nil, version: "", handicap: .seconds(60), now: .seconds(10), wall: wall(0))
        guard case .create = creation else {
            Issue.record("did not create the lease again")
            return
        }
    }

    @Test mutating func `every renewal that is seen starts the wait anew`() {
        _ = machine.look(at: record("them", renewed: 1), version: "1", now: .zero, wall: wall(0))
        let renewed = record("them", renewed: 2)
        #expect(
            machine.look(at: renewed, version: "2", now: .seconds(14), wall: wall(0)) == .stand(until: .seconds(29))
        )
    }

    @Test mutating func `the holders lease duration counts and not ours`() {
        #expect(
            machine.look(at: record("them", duration: 60), version: "1", now: .zero, wall: wall(0))
                == .stand(until: .seconds(60))
        )
    }

    @Test mutating func `the times in the lease are never compared with our clock`() {
        // A holder whose clock is a day behind, or ahead, holds the lease all the same.
        for renewed: Int64 in [-86_400, 86_400] {
            var machine = machine
            let decision = machine.look(
                at: record("them", renewed: renewed),
                version: "1",
                now: .seconds(5),
                wall: wall(0)
            )
            #expect(decision == .stand(until: .seconds(20)))
        }
    }

    @Test mutating func `a released lease is taken at once`() {
        guard
            case .update(let taken) = machine.look(at: record("", duration: 1), version: "1", now: .zero, wall: wall(1))
        else {
            Issue.record("did not take a released lease")
            return
        }
        #expect(taken.leaseTransitions == 4)
    }

    @Test mutating func `a renewal keeps the time and the term of the acquisition`() {
        let ours = record("us", renewed: 1)
        guard case .update(let renewed) = machine.look(at: ours, version: "1", now: .seconds(5), wall: wall(6)) else {
            Issue.record("did not renew its own lease")
            return
        }
        #expect(renewed.acquireTime == ours.acquireTime)
        #expect(renewed.leaseTransitions == ours.leaseTransitions)
        #expect(renewed.renewTime == wall(6))
    }

    @Test mutating func `the deadline counts from when the renewal was sent and lies before the end of the lease`() {
        machine.didWrite(sent: .seconds(100))
        #expect(machine.deadline == .seconds(112.5))
    }

    @Test func `the renew deadline begins with the first attempt, as in client-go`() throws {
        let timing = try LeaderElectionTiming(
            leaseDuration: .seconds(60),
            renewDeadline: .seconds(15),
            retryPeriod: .seconds(10)
        )
        var machine = Machine(identity: "us", timing: timing)
        machine.didWrite(sent: .zero)
        #expect(machine.nextRenewal == .seconds(10))
        #expect(machine.deadline == .seconds(25))
    }

    @Test mutating func `a failed renewal is tried again at once and then every second`() {
        machine.didWrite(sent: .seconds(100))
        #expect(machine.nextRenewal == .seconds(105))
        machine.didFail(attempt: .seconds(105))
        #expect(machine.nextRenewal == .seconds(105))
        machine.didFail(attempt: .milliseconds(105200))
        #expect(machine.nextRenewal == .milliseconds(106200))
        machine.didFail(attempt: .milliseconds(106200))
        #expect(machine.nextRenewal == .milliseconds(107200))
        #expect(machine.deadline == .seconds(112.5))
        machine.didWrite(sent: .milliseconds(107200))
        #expect(machine.nextRenewal == .milliseconds(112200))
        machine.didFail(attempt: .milliseconds(112200))
        #expect(machine.nextRenewal == .milliseconds(112200))
    }

    @Test func `retries are not further apart than the retry period`() throws {
        let timing = try LeaderElectionTiming(
            leaseDuration: .seconds(3),
            renewDeadline: .seconds(2),
            retryPeriod: .seconds(0.5)
        )
        var machine = Machine(identity: "us", timing: timing)
        machine.didWrite(sent: .zero)
        machine.didFail(attempt: .milliseconds(500))
        machine.didFail(attempt: .milliseconds(600))
        #expect(machine.nextRenewal == .milliseconds(1100))
    }

    /// At 5 s after the last renewal an attempt has half of the renew deadline; two that hang leave time for a third.
    @Test mutating func `an attempt leaves time for another one`() {
        machine.didWrite(sent: .zero)
        var now = Duration.seconds(5)
        #expect(machine.renewalLimit(now: now) == .seconds(5))
        for _ in 0..<2 {
            let limit = machine.renewalLimit(now: now)
            machine.didFail(attempt: now)
            now += limit
            #expect(machine.nextRenewal <= now)
        }
        #expect(machine.renewalLimit(now: now) > .milliseconds(500))
        #expect(machine.renewalLimit(now: .seconds(13)) == .zero)
    }

    /// Others may take the lease when its duration, as it is stored, has passed since the last renewal was stored.
    @Test(arguments: 0..<500 as Range<UInt64>)
    func `a leader that cannot renew stops before the lease runs out`(seed: UInt64) throws {
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
        let decision = machine.look(at: nil, version: "", now: .seconds(1), wall: wall(0))
        guard case .create(let record) = decision else {
            Issue.record("did not create the lease")
            return
        }
        machine.didWrite(sent: .seconds(1))
        var now = machine.nextRenewal
        for _ in 0..<20 {
            machine.didFail(attempt: now)
            now = max(now + period(0...3000), machine.nextRenewal)
        }
        let deadline = try #require(machine.deadline)
        #expect(deadline < .seconds(1) + .seconds(Int64(record.leaseDurationSeconds)))
        #expect(deadline >= .seconds(1) + timing.renewDeadline)
    }

    @Test func `only our own lease is released`() {
        #expect(machine.release(record("them"), wall: wall(1)) == nil)
        let released = machine.release(record("us"), wall: wall(1))
        #expect(released?.holderIdentity == "")
        #expect(released?.leaseTransitions == 3)
        #expect(released?.leaseDurationSeconds == 1)
    }

    /// Candidates with different delays look at one Lease that only versions guard; there must never be two leaders.
    @Test(arguments: 0..<200 as Range<UInt64>)
    func `never two leaders`(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let timing = try LeaderElectionTiming()
        var machines = (0..<3).map { Machine(identity: "candidate-\($0)", timing: timing) }
        var lease: (record: LeaseRecord, version: Int)?
        var now = Duration.zero
        for _ in 0..<300 {
            now += .milliseconds(Int.random(in: 0...4000, using: &random))
            let number = Int.random(in: 0..<machines.count, using: &random)
            // A leader past its deadline has stopped by itself, whatever else it does.
            for other in machines.indices where (machines[other].deadline ?? now) < now {
                machines[other] = Machine(identity: "candidate-\(other)", timing: timing)
            }
            let seen = lease
            let decision = machines[number].look(
                at: seen?.record,
                version: "\(seen?.version ?? 0)",
                now: now,
                wall: wall(Int64.random(in: 0...9, using: &random))
            )
            // Between look and write time passes, and others may write.
            let sent = now
            now += .milliseconds(Int.random(in: 0...500, using: &random))
            switch decision {
            case .stand:
                guard machines[number].deadline != nil else { break }
                machines[number] = Machine(identity: "candidate-\(number)", timing: timing)
            case .create(let record) where lease == nil, .update(let record) where lease?.version == seen?.version:
                lease = (record, (lease?.version ?? 0) + 1)
                machines[number].didWrite(sent: sent)
            case .create, .update:
                break
            }
            let leaders = machines.filter { ($0.deadline ?? .zero) > now }
            #expect(leaders.count <= 1, "seed \(seed) at \(now): \(leaders.map(\.identity))")
        }
    }
}
