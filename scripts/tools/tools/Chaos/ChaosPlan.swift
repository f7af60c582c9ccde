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

/// A fault of a node: of the agent, the driver's node plugin, the kubelet, a mount or a pod.
enum NodeFault: String, CaseIterable {
    /// The agent is killed; at the end it is started again.
    case agentKilled = "agent-killed"
    /// The agent gets SIGTERM; at the end it is started again.
    case agentTerminated = "agent-terminated"
    /// The agent is stopped (SIGSTOP); at the end it continues.
    case agentFrozen = "agent-frozen"
    /// The driver ends; at the end it is started again.
    case driverRestarted = "driver-restarted"
    /// The driver registers anew: its registration socket goes, and at the end there is another one.
    case registeredAnew = "registered-anew"
    /// The kubelet restarts with the driver: both sockets go; at the end they come back.
    case kubeletRestarted = "kubelet-restarted"
    /// Every call about one mount hangs.
    case pathHangs = "path-hangs"
    /// A pod is replaced under its name; at the end the new one starts.
    case podReplaced = "pod-replaced"
    /// A pod ends by itself, in the kubelet's order: its volume is unmounted, and seconds later the API server has its
    /// end. At the end of the fault another one of its name is created and starts, not before that.
    case podEnded = "pod-ended"

    var stopsDriver: Bool { [.driverRestarted, .kubeletRestarted].contains(self) }
}

/// A fault of a chaos run.
enum ChaosFault: Hashable {
    case world(Fault)
    case replica(ReplicaFault)
    case node(NodeFault)

    /// On the controller side.
    static let all = Fault.all.map(Self.world) + ReplicaFault.allCases.map(Self.replica)

    /// On the node side: without the faults of lists, leases and claims' status.
    static let allOnNode: [ChaosFault] = {
        let driver: [DriverFault] = [
            .slow, .unavailable, .internalError, .resourceExhausted, .socketRemoved, .halfReply, .oversizedReply,
            .wrongWireTypes, .notReady,
        ]
        let server = APIServerFault.allCases.filter {
            ![.lostLeaseResponses, .forbiddenStatus, .statusFieldDropped].contains($0)
        }
        let cluster: [ClusterFault] = [.changedBetweenWatches, .clockSetBack, .clockSetForward]
        let world = driver.map(Fault.driver) + server.map(Fault.apiServer) + cluster.map(Fault.cluster)
        return world.map(Self.world) + NodeFault.allCases.map(Self.node)
    }()

    /// On either side.
    static let everywhere = all + NodeFault.allCases.map(Self.node)

    /// `driver/slow`, `replica/leader-killed`, `node/pod-replaced`
    var name: String {
        switch self {
        case .world(let fault): fault.name
        case .replica(let fault): "replica/\(fault.rawValue)"
        case .node(let fault): "node/\(fault.rawValue)"
        }
    }

    /// Whether it may stop a driver.
    private var stopsDriver: Bool {
        switch self {
        case .world(.driver), .replica(.leaderDriverKilled): true
        case .node(let fault): fault.stopsDriver
        case .world, .replica: false
        }
    }

    /// Whether it changes the pods.
    private var changesPods: Bool { [.node(.podReplaced), .node(.podEnded)].contains(self) }

    /// Whether both may be active at the same time: not two of the same component, at most one that stops a driver, and
    /// no change of pods that a backup would undo.
    func canOverlap(with other: ChaosFault) -> Bool {
        let both = [self, other]
        let components = Set(both.map { $0.name.prefix { $0 != "/" } })
        let undoesPods = both.contains(.world(.apiServer(.restoredFromBackup))) && both.contains { $0.changesPods }
        return components.count == 2 && !both.allSatisfy(\.stopsDriver) && !undoesPods
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
    private let faults: [ChaosFault]
    private let volumes: Int
    private var remaining: [ChaosFault] = []

    /// - Parameters:
    ///   - seed: determines the rounds.
    ///   - faults: those to choose from.
    ///   - volumes: their number.
    init(seed: UInt64, faults: [ChaosFault] = ChaosFault.all, volumes: Int) {
        random = SeededGenerator(seed: seed)
        self.faults = faults
        self.volumes = volumes
    }

    /// The next round. Every fault comes once before any comes again.
    mutating func next() -> Round {
        if remaining.isEmpty { remaining = self.faults.shuffled(using: &random) }
        var faults = [remaining.removeLast()]
        if Int.random(in: 0..<3, using: &random) == 0, let other = self.faults.randomElement(using: &random),
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
