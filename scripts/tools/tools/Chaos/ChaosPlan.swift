// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthMonitorTestKit

/// What goes wrong with the replicas of the monitor.
enum ReplicaFault: String, CaseIterable {
    /// The leader's process is killed, and started again at the end.
    case leaderKilled = "leader-killed"
    /// The leader is asked to end (SIGTERM), and started again at the end.
    case leaderTerminated = "leader-terminated"
    /// The leader is stopped for longer than the lease lasts, and goes on at the end.
    case leaderFrozen = "leader-frozen"
    /// Nothing passes between the leader and the API server.
    case leaderPartitioned = "leader-partitioned"
    /// The driver of the leader alone ends, and is started again at the end.
    case leaderDriverKilled = "leader-driver-killed"
    /// All are killed, and started at the same moment at the end.
    case allStartedAtOnce = "all-started-at-once"
    /// The replicas' clocks differ by 20 seconds, until they are started again.
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

    /// Whether both may happen at the same time: at most one of a seam, and one at most stops a driver.
    func goesTogether(with other: ChaosFault) -> Bool {
        let seams = Set([self, other].map { $0.name.prefix { $0 != "/" } })
        return seams.count == 2 && !(seams.contains("driver") && [self, other].contains(.replica(.leaderDriverKilled)))
    }
}

/// The rounds of a run, which the seed decides: the same seed, the same faults, changes and durations.
struct ChaosPlan {
    /// A time of faults, after which all must become well.
    struct Round {
        /// The first is what this round is for; another one may happen at the same time.
        var faults: [ChaosFault]
        /// The volumes that break or recover when the faults have begun.
        var changes: [Int]
        /// Those of them that change back while the faults last.
        var relapses: [Int]
        /// How long the faults last, in milliseconds.
        var milliseconds: Int
    }

    private var random: SeededGenerator
    private let volumes: Int
    private var remaining: [ChaosFault] = []

    /// - Parameters:
    ///   - seed: decides everything.
    ///   - volumes: how many there are.
    init(seed: UInt64, volumes: Int) {
        random = SeededGenerator(seed: seed)
        self.volumes = volumes
    }

    /// The next round. Every fault has its turn before one has its second.
    mutating func next() -> Round {
        if remaining.isEmpty { remaining = ChaosFault.all.shuffled(using: &random) }
        var faults = [remaining.removeLast()]
        if Int.random(in: 0..<3, using: &random) == 0, let other = ChaosFault.all.randomElement(using: &random),
            other.goesTogether(with: faults[0])
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
