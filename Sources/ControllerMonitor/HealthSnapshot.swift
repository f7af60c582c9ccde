// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

package import ControllerCore
package import HealthCore

/// What a running monitor knows, for metrics and health pages.
package struct HealthSnapshot: Sendable {
    /// A claim whose volume is unhealthy.
    package struct UnhealthyClaim: Sendable, Equatable {
        /// `metadata.namespace`
        package var namespace: String
        /// `metadata.name`
        package var name: String
        /// Shared with the core: a copy for each claim would be large in an outage.
        package var state: VolumeState
        /// For how long this process knows the same set of status and reason.
        package var age: Duration

        /// What is wrong, worst first.
        package var conditions: [(status: String, reason: String)] {
            state.conditions.map { ($0.status.rawValue, $0.reason) }
        }
    }

    /// What waits for the API server.
    package struct Backlog: Sendable, Hashable {
        /// How many.
        package var depth: Int
        /// How long the oldest is so and not reported; zero when there is none.
        package var oldest: Duration
        /// How many were queued in this term, those that are tried again included.
        package var adds: UInt64
    }

    /// How the driver is probed.
    package struct Method: Sendable, Hashable {
        /// The RPC, without its service; `none` where the driver has none that reports health.
        package var name: String
        /// `legacy`, `health`, or `none`.
        package var generation: String
    }

    /// Claims whose volumes are not well.
    package var unhealthyClaims: [UnhealthyClaim]
    /// Volumes of which the driver says that nothing is wrong.
    package var healthyVolumes: Int
    /// Volumes of which the last answer is too old to say how they are: healthy ones after two intervals, unhealthy ones
    /// after five.
    package var staleVolumes = 0
    /// Claims of whose volume there was no answer for five intervals, where volumes are probed one by one.
    package var unansweredClaims: [(claim: ClaimKey, age: Duration)] = []
    /// Where volumes are probed one by one: the last interval that has ended.
    package var lastRound: ProbeRound?
    /// Volumes of which it says that something is wrong.
    package var unhealthyVolumes: Int
    /// Volumes of which it has said nothing yet, or nothing that is understood.
    package var unknownVolumes: Int
    /// Events.
    package var events: Backlog
    /// Status fields.
    package var statuses: Backlog
    /// Whether the API server keeps status fields, as far as is known.
    package var isStatusSupported: Bool
    /// What a driver that does not report the health of its volumes would have to offer; nil for one that does.
    package var missingCapabilities: String?
    /// nil until the driver is identified in this term.
    package var method: Method?
    /// Why the driver's list of volumes is of no use: `no_conditions`, `foreign_ids`; nil while it is.
    package var listProblem: String?
    /// Whether so many volumes are missing at once that none of them is reported.
    package var isAbsenceSuspected = false
    /// From one probe of a volume to its next, as it is kept; nil while volumes are not probed one by one.
    package var probeInterval: Duration?
}

extension HealthSnapshot {
    /// All but ``unhealthyClaims``.
    init(numbersOf state: borrowing HealthState, _ strategy: ProbeStrategy?, at now: Duration) {
        unhealthyClaims = []
        let counts = state.healthCounts
        healthyVolumes = counts[.healthy, default: 0]
        unhealthyVolumes = counts[.unhealthy, default: 0]
        unknownVolumes = counts[.unknown, default: 0]
        let adds = state.queueAdds
        events = Backlog(state.eventBacklog, adds: adds.events, at: now)
        statuses = Backlog(state.statusBacklog, adds: adds.statuses, at: now)
        isStatusSupported = state.isStatusSupported
        missingCapabilities = strategy == ProbeStrategy.none ? ProbeStrategy.missingCapabilities : nil
        method = strategy.map { Method(name: $0.method, generation: $0.generation?.rawValue ?? "none") }
        listProblem = state.listProblem?.label
        isAbsenceSuspected = state.absenceSuspicion != nil
        probeInterval = state.keptProbeInterval
    }

    /// Counts as stale what is too old.
    ///
    /// - Parameter listAge: of the last complete list in intervals, where volumes are listed.
    mutating func age(_ state: borrowing HealthState, listAge: Double?, at now: Duration) {
        if let listAge {
            if listAge > 2 { (healthyVolumes, staleVolumes) = (0, staleVolumes + healthyVolumes) }
            if listAge > 5 { (unhealthyVolumes, staleVolumes) = (0, staleVolumes + unhealthyVolumes) }
            return
        }
        let unanswered = state.unanswered(forIntervals: 2, at: now)
        guard !unanswered.isEmpty, let interval = probeInterval else { return }
        let old = unanswered.filter { $0.age > interval * 5 }
        for volume in unanswered {
            switch state.health(ofVolumeHandle: volume.volumeHandle) {
            case .healthy:
                healthyVolumes -= 1
                staleVolumes += 1
            case .unhealthy where volume.age > interval * 5:
                unhealthyVolumes -= 1
                staleVolumes += 1
            case .unhealthy, .unknown, nil: break
            }
        }
        unansweredClaims = state.claims(ofUnanswered: old).map { ($0.claim.key, $0.age) }
    }
}

extension HealthSnapshot.UnhealthyClaim {
    init(_ claim: Claim, _ state: VolumeState, age: Duration) {
        self.init(namespace: claim.key.namespace, name: claim.key.name, state: state, age: age)
    }
}

/// What is wrong with the driver, apart from the core, for health pages.
struct DriverProblems: Sendable, Hashable {
    var listProblem: ListProblem?
    var absenceSuspicion: AbsenceSuspicion?
    var knowsOnlyItsNode = false

    init(_ state: borrowing HealthState) {
        (listProblem, absenceSuspicion) = (state.listProblem, state.absenceSuspicion)
        knowsOnlyItsNode = state.knowsOnlyItsNode
    }

    init() {}

    /// In sentences, a line each.
    ///
    /// - Parameter missingCapabilities: what the driver would have to offer; nil where it has what is needed.
    func description(missingCapabilities: String?) -> String? {
        let locality =
            knowsOnlyItsNode
            ? "the driver finds exactly the volumes of its own node: run it on each node with --node-deployment" : nil
        let problems = [missingCapabilities, listProblem?.sentence, absenceSuspicion?.sentence, locality].compactMap(
            \.self
        )
        return problems.isEmpty ? nil : problems.joined(separator: "\n")
    }
}

extension ListProblem {
    /// For a metric.
    fileprivate var label: String {
        switch self {
        case .noConditions: "no_conditions"
        case .foreignIDs: "foreign_ids"
        }
    }

    fileprivate var sentence: String {
        switch self {
        case .noConditions:
            "the driver's list of volumes has no volume conditions, although the driver has VOLUME_CONDITION"
        case .foreignIDs(let volumeID, let volumeHandle):
            "the driver's list has no volume of any of its PersistentVolumes: it has volume_id \"\(volumeID)\", a "
                + "volumeHandle is \"\(volumeHandle)\""
        }
    }
}

extension AbsenceSuspicion {
    fileprivate var sentence: String {
        "the driver does not find \(missing) of \(of) volumes at once: it is suspected, and none of them is reported missing yet"
    }
}

extension HealthSnapshot.Backlog {
    init(_ backlog: (depth: Int, oldest: Duration?), adds: UInt64, at now: Duration) {
        self.init(depth: backlog.depth, oldest: backlog.oldest.map { now - $0 } ?? .zero, adds: adds)
    }
}
