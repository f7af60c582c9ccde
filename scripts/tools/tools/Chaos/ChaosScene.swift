// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Foundation
import HealthMonitorTestKit
import Subprocess

/// Plays rounds with the replicas in a simulated world.
struct ChaosScene {
    private(set) var world: SimulatedWorld
    let replicas: Replicas
    let fakeTimeLibrary: String?
    private let clock = ContinuousClock()
    /// The leader that a fault applies to.
    private var victim: String?

    init(world: SimulatedWorld, replicas: Replicas, fakeTimeLibrary: String?) {
        self.world = world
        self.replicas = replicas
        self.fakeTimeLibrary = fakeTimeLibrary
    }

    /// The time after the faults within which everything must be reported: the longest back-off of a failed watch.
    private static let settleLimit = Duration.seconds(90)
    /// The time within which another replica must take over, also on a busy machine. For a leader that cannot reach its
    /// driver it is promise g: 60 seconds at the default lease duration of 15 seconds.
    static func failoverLimit(after fault: ReplicaFault) -> Duration {
        Replicas.Timing.leaseDuration * (fault == .leaderDriverKilled ? 4 : 10)
    }
    /// How long the steady state is observed, in which nothing may be written.
    private static let steady = Replicas.Timing.listInterval * 2 + .milliseconds(500)

    /// Plays a round: begins the faults, changes volumes, ends the faults and checks the promises. Returns the failure.
    mutating func play(_ round: ChaosPlan.Round, into report: inout ChaosReport) async throws -> String? {
        let name = round.faults.map(\.name).joined(separator: " + ")
        let before = world.ledger
        let began = clock.now
        for fault in round.faults { try await begin(fault) }
        for index in round.changes { flip(index) }
        try await wait(.milliseconds(round.milliseconds / 2))
        for index in round.relapses { flip(index) }
        try recreateClaim(round)
        try await wait(.milliseconds(round.milliseconds / 2))
        let failovers = try await self.failovers(of: round, since: began)
        for fault in round.faults.reversed() { try await end(fault) }
        let healed = clock.now
        let failure = try await settle()
        let settling = clock.now - healed
        report.add(
            round.faults[0],
            reported: world.ledger.reports - before.reports,
            lost: failure == nil ? 0 : 1,
            twice: world.ledger.violations.count { ["b", "c"].contains($0.promise) },
            settling: settling,
            failovers: failovers
        )
        printLine("\(name): \(world.ledger.reports - before.reports) reported, settled after \(settling.tenths) s")
        if let failure { return "\(name): \(failure)" }
        if failovers.isEmpty, needsFailover(round) { return "\(name): no other replica took over" }
        return try await observeSteadyState(after: name)
    }

    /// Waits until everything is reported. Returns the failure.
    mutating func settle() async throws -> String? {
        let limit = clock.now + Self.settleLimit
        // A write may be in the journal a moment later than in the objects, and must not count for the steady state.
        var wasSettled = false
        while true {
            let unsettled = try world.unsettled()
            if let failure = brokenPromise() { return failure }
            // There must be a leader again.
            let isSettled = unsettled.isEmpty && world.ledger.holder != nil
            if isSettled, wasSettled { return nil }
            wasSettled = isSettled
            if clock.now > limit {
                return "not reported in time: \(unsettled.map(\.description).joined(separator: "; "))"
            }
            try await clock.sleep(for: .milliseconds(50))
        }
    }

    /// Checks that nothing is written while nothing changes (e). Returns the failure.
    private mutating func observeSteadyState(after name: String) async throws -> String? {
        let writes = world.ledger.writes
        try await wait(Self.steady)
        guard world.ledger.writes == writes else {
            return "\(name): e: \(world.ledger.writes - writes) writes in the steady state"
        }
        return brokenPromise()
    }

    private func brokenPromise() -> String? {
        if let violation = world.ledger.violations.first { return "\(violation.promise): \(violation)" }
        return replicas.processes.lazy.flatMap(\.failures).first
    }

    private mutating func wait(_ duration: Duration) async throws {
        try await clock.sleep(for: duration)
        world.observe()
    }

    /// Recreates the claim of a broken volume: if the watch had ended for good, nothing would be reported on the new
    /// claim.
    private mutating func recreateClaim(_ round: ChaosPlan.Round) throws {
        guard let first = round.changes.first else { return }
        let broken = round.changes.first { world.health(ofVolume: $0) != .healthy }
        if broken == nil { flip(first) }
        try world.recreateClaim(ofVolume: broken ?? first)
    }

    private mutating func flip(_ index: Int) {
        let broken = SimulatedWorld.Health.unhealthy("volume \(index) is broken")
        world.set(world.health(ofVolume: index) == .healthy ? broken : .healthy, ofVolume: index)
    }
}

// MARK: - Faults

extension ChaosScene {
    private mutating func begin(_ fault: ChaosFault) async throws {
        switch fault {
        case .world(let fault):
            try await world.begin(fault)
        case .node: preconditionFailure("\(fault.name) is of the node side")
        case .replica(let fault):
            world.observe()
            victim = world.ledger.holder
            let leader = victim.flatMap(replicas.process)
            world.note("\(fault.rawValue): \(victim ?? "no leader")")
            switch fault {
            case .leaderKilled: leader?.send(.kill)
            case .leaderTerminated: leader?.send(.terminate)
            case .leaderFrozen: leader?.send(.suspend)
            case .leaderPartitioned:
                if let victim { world.partition(replica: victim) }
            case .leaderDriverKilled:
                if let victim { await replicas.driver(ofReplica: victim)?.stop() }
            case .allStartedAtOnce:
                for process in replicas.processes { process.send(.kill) }
            case .clocksSkewed:
                for process in replicas.processes { process.send(.kill) }
                for (process, offset) in zip(replicas.processes, ["-20s", "+0s", "+20s"]) {
                    process.start(environment: fakeTime(offset))
                }
            }
        }
    }

    private mutating func end(_ fault: ChaosFault) async throws {
        switch fault {
        case .world(let fault):
            try await world.end(fault)
        case .node: preconditionFailure("\(fault.name) is of the node side")
        case .replica(let fault):
            let leader = victim.flatMap(replicas.process)
            world.note("end of \(fault.rawValue)")
            switch fault {
            case .leaderKilled, .leaderTerminated: leader?.start()
            case .leaderFrozen: leader?.send(.resume)
            case .leaderPartitioned: await world.endPartitions()
            case .leaderDriverKilled:
                if let victim { try replicas.driver(ofReplica: victim)?.start() }
            case .allStartedAtOnce:
                for process in replicas.processes { process.start() }
            case .clocksSkewed:
                for process in replicas.processes {
                    process.send(.kill)
                    process.start()
                }
            }
        }
    }

    private func fakeTime(_ offset: String) -> [String: String] {
        guard let fakeTimeLibrary else { return [:] }
        return [
            "LD_PRELOAD": fakeTimeLibrary, "FAKETIME": offset, "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_NO_CACHE": "1",
        ]
    }

    /// Whether another replica must take over in a round: the fault is its only one, and there was a leader.
    private func needsFailover(_ round: ChaosPlan.Round) -> Bool {
        guard case .replica(let fault) = round.faults[0], round.faults.count == 1, victim != nil else { return false }
        return [.leaderKilled, .leaderTerminated, .leaderFrozen, .leaderPartitioned, .leaderDriverKilled]
            .contains(fault)
    }

    /// The time from the fault until another replica probes the driver. The fault lasts until then, at most for
    /// ``failoverLimit(after:)``.
    private mutating func failovers(
        of round: ChaosPlan.Round,
        since began: ContinuousClock.Instant
    ) async throws -> [ReplicaFault: Duration] {
        guard needsFailover(round), case .replica(let fault) = round.faults[0] else { return [:] }
        let start = world.time(of: began)
        while clock.now < began + Self.failoverLimit(after: fault) {
            if let first = world.probes.first(where: { $0.time > start && $0.replica != victim }) {
                return [fault: first.time - start]
            }
            try await wait(.milliseconds(50))
        }
        return [:]
    }
}

extension Duration {
    /// In seconds, with one decimal.
    var tenths: String {
        let tenths = Int((self / .milliseconds(100)).rounded())
        return "\(tenths / 10).\(tenths % 10)"
    }
}
