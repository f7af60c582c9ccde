// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthMonitorTestKit
import Subprocess

/// Plays rounds with an agent on a simulated node.
struct NodeChaosScene {
    private(set) var world: SimulatedNodeWorld
    private let agent: ReplicaProcess
    private let environment: [String: String]
    private let clock = ContinuousClock()

    /// The time after the faults within which everything must be reported: the delay of many events at once (a minute),
    /// and the longest back-off of a failed watch.
    private static let settleLimit = Duration.seconds(150)
    /// How long the steady state is observed, in which nothing may be written.
    private static let steady = Duration.milliseconds(2500)
    /// From one look at the world to the next.
    private static let step = Duration.milliseconds(50)

    init(world: SimulatedNodeWorld, agent: ReplicaProcess, environment: [String: String]) {
        self.world = world
        self.agent = agent
        self.environment = environment
    }

    func start() { agent.start(environment: environment) }

    /// Plays a round: begins the faults, changes volumes, ends the faults and checks the promises. Returns the failure.
    mutating func play(_ round: ChaosPlan.Round, into report: inout ChaosReport) async throws -> String? {
        let name = round.faults.map(\.name).joined(separator: " + ")
        let before = world.ledger
        for fault in round.faults { try await begin(fault, volume: round.changes[0]) }
        for index in round.changes { flip(index) }
        try await wait(.milliseconds(round.milliseconds / 2))
        for index in round.relapses { flip(index) }
        try await wait(.milliseconds(round.milliseconds / 2))
        for fault in round.faults.reversed() { try await end(fault, volume: round.changes[0]) }
        let healed = clock.now
        let failure = try await settle()
        let settling = clock.now - healed
        let reported = world.ledger.reports - before.reports
        report.add(
            round.faults[0],
            reported: reported,
            lost: failure == nil ? 0 : 1,
            twice: world.ledger.violations.count { ["b", "c"].contains($0.promise) },
            settling: settling,
            failovers: [:]
        )
        printLine("\(name): \(reported) reported, settled after \(settling.tenths) s")
        if let failure { return "\(name): \(failure)" }
        return try await observeSteadyState(after: name)
    }

    /// Waits until everything is reported and the agent probes. Returns the failure.
    mutating func settle() async throws -> String? {
        let limit = clock.now + Self.settleLimit
        let probes = world.probes
        var wasSettled = false
        while true {
            try world.advance()
            let unsettled = world.unsettled()
            if let failure = brokenPromise() { return failure }
            let isSettled = unsettled.isEmpty && !world.lacksEnd && world.probes > probes
            // A write may be in the journal a moment later than in the objects, and must not count for the steady state.
            if isSettled, wasSettled { return nil }
            wasSettled = isSettled
            if clock.now > limit {
                let what = unsettled.map(\.description).joined(separator: "; ")
                return "not reported in time, \(world.probes - probes) probes: \(what)"
            }
            try await clock.sleep(for: Self.step)
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
        return agent.failures.first
    }

    private mutating func wait(_ duration: Duration) async throws {
        let end = clock.now + duration
        while clock.now < end {
            try await clock.sleep(for: min(Self.step, end - clock.now))
            try world.advance()
        }
        world.observe()
    }

    private mutating func flip(_ index: Int) {
        world.set(world.isHealthy(index) ? "volume \(index) is broken" : nil, ofVolume: index)
    }

    // MARK: Faults

    /// - Parameter volume: that a fault of one volume applies to.
    private mutating func begin(_ fault: ChaosFault, volume: Int) async throws {
        switch fault {
        case .world(let fault): try await world.begin(fault)
        case .replica: preconditionFailure("\(fault.name) is of the controller side")
        case .node(let fault):
            world.note("begin \(fault.rawValue)")
            switch fault {
            case .agentKilled: agent.send(.kill)
            case .agentTerminated: agent.send(.terminate)
            case .agentFrozen: agent.send(.suspend)
            case .driverRestarted: try await world.setDriver(isRunning: false)
            case .registeredAnew: try await world.setRegistration(isPresent: false)
            case .kubeletRestarted:
                try await world.setRegistration(isPresent: false)
                try await world.setDriver(isRunning: false)
            case .pathHangs: world.hang(true, volume: volume)
            case .podReplaced: try world.replacePod(volume)
            case .podEnded: world.completePod(volume)
            }
        }
    }

    private mutating func end(_ fault: ChaosFault, volume: Int) async throws {
        switch fault {
        case .world(let fault): try await world.end(fault)
        case .replica: preconditionFailure("\(fault.name) is of the controller side")
        case .node(let fault):
            world.note("end \(fault.rawValue)")
            switch fault {
            case .agentKilled, .agentTerminated: agent.start(environment: environment)
            case .agentFrozen: agent.send(.resume)
            case .driverRestarted: try await world.setDriver(isRunning: true)
            case .registeredAnew: try await world.setRegistration(isPresent: true)
            case .kubeletRestarted:
                try await world.setDriver(isRunning: true)
                try await world.setRegistration(isPresent: true)
            case .pathHangs: world.hang(false, volume: volume)
            case .podReplaced, .podEnded: try world.startPod(volume)
            }
        }
    }
}
