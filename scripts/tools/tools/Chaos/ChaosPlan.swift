// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthMonitorTestKit

/// A fault of the monitor's replicas.
enum ReplicaFault: String, CaseIterable {
    /// The leader's process is killed; at the end it is started again.
    case leaderKilled = "leader-killed"
    /// The leader gets SIGTERM; at the end it is started again.
    case leaderTerminated = "leader-terminated"
    /// The leader is stopped (SIGSTOP) for longer than the lease lasts; at the end it continues.
    case leaderFrozen = "leader-frozen"
    /// The leader is partitioned from the API server.
    case leaderPartitioned = "leader-partitioned"
    /// Only the leader's driver ends; at the end it is started again.
    case leaderDriverKilled = "leader-driver-killed"
    /// All replicas are killed; at the end they are started at the same moment.
    case allStartedAtOnce = "all-started-at-once"
    /// The replicas' clocks differ by 20 seconds until they are started again.
    case clocksSkewed = "clocks-skewed"
}

/// A fault of a chaos run.
enum ChaosFault: Hashable {
    case world(Fault)
    case replica(ReplicaFault)

    static let all = Fault.all.map(Self.world) + ReplicaFault.allCases.map(Self.replica)

    /// `driver/slow`, `replica/leader-killed`
    var name: String {
        switch self {
        case .world(let fault): fault.name
        case .replica(let fault): "replica/\(fault.rawValue)"
        }
    }

    /// Whether both may be active at the same time: not two of the same component, and at most one that stops a driver.
    func canOverlap(with other: ChaosFault) -> Bool {
        let components = Set([self, other].map { $0.name.prefix { $0 != "/" } })
        let bothStopDrivers = components.contains("driver") && [self, other].contains(.replica(.leaderDriverKilled))
        return components.count == 2 && !bothStopDrivers
    }
}

/// The rounds of a run. The seed determines their faults, changes and durations.
struct ChaosPlan {
    /// A period of faults, after which everything must be reported.
    struct Round {
        /// The first is the round's own; another one may be active at the same time.
        var faults: [ChaosFault]
        /// The volumes whose health changes after the faults have begun.
        var changes: [Int]
        /// Those of them that change back before the faults end.
        var relapses: [Int]
        /// How long the faults last, in milliseconds.
        var milliseconds: Int
    }

    private var random: SeededGenerator
    private let volumes: Int
    private var remaining: [ChaosFault] = []

    /// - Parameters:
    ///   - seed: determines the rounds.
    ///   - volumes: their number.
    init(seed: UInt64, volumes: Int) {
        random = SeededGenerator(seed: seed)
        self.volumes = volumes
    }

    /// The next round. Every fault comes once before any comes again.
    mutating func next() -> Round {
        if remaining.isEmpty { remaining = ChaosFault.all.shuffled(using: &random) }
        var faults = [remaining.removeLast()]
        if Int.random(in: 0..<3, using: &random) == 0, let other = ChaosFault.all.randomElement(using: &random),
            other.canOverlap(with: faults[0])
        {
            faults.append(other)
        }
        let changes = (0..<volumes).shuffled(using: &random).prefix(Int.random(in: 1...4, using: &random))
        return Round(
            faults: faults,
            changes: Array(changes),
            relapses: changes.filter { _ in Int.random(in: 0..<3, using: &random) == 0 },
            milliseconds: Int.random(in: 2000...5000, using: &random)
        )
    }
}
