// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

package import ControllerCore
package import HealthCore

/// The state of a running monitor, for metrics and health pages.
package struct HealthSnapshot: Sendable {
    /// A claim whose volume is unhealthy.
    package struct UnhealthyClaim: Sendable, Equatable {
        package var namespace: String
        package var name: String
        /// Shared with the core: in an outage, copies for all claims would take much memory.
        package var state: VolumeState
        /// How long the set of (status, reason) has been unchanged, as far as this process knows.
        package var age: Duration

        /// The worst first.
        package var conditions: [(status: String, reason: String)] {
            state.conditions.map { ($0.status.rawValue, $0.reason) }
        }
    }

    /// The reports that wait for the API server.
    package struct Backlog: Sendable, Hashable {
        /// The number of reports on transitions that wait or are under way.
        package var depth: Int
        /// How long the oldest of them has waited; zero when there is none.
        package var oldest: Duration
        /// How many were queued in this term, retries included.
        package var adds: UInt64
        /// The ages of all reports under way together, refreshes included.
        package var unfinished = Duration.zero
        /// The age of the oldest report under way.
        package var longestRunning = Duration.zero
    }

    /// How the driver is probed.
    package struct Method: Sendable, Hashable {
        /// The RPC, without its service; `none` where the driver has none that reports health.
        package var name: String
        /// `legacy`, `health`, or `none`.
        package var generation: String
    }

    /// Claims whose volumes are unhealthy.
    package var unhealthyClaims: [UnhealthyClaim]
    /// The number of volumes that the driver reports as healthy.
    package var healthyVolumes: Int
    /// The number of volumes whose last response is too old to show their health: healthy ones after two intervals,
    /// unhealthy ones after five.
    package var staleVolumes = 0
    /// Claims whose volumes had no response for five intervals, where volumes are probed one by one.
    package var unresponsiveClaims: [(claim: ClaimKey, age: Duration)] = []
    /// Claims whose volumes are flapping.
    package var flappingClaims: [ClaimKey] = []
    /// Where volumes are probed one by one: the last interval that has ended.
    package var lastRound: ProbeRound?
    /// The number of volumes that the driver reports as unhealthy or does not find.
    package var unhealthyVolumes: Int
    /// The number of volumes for which the driver has reported nothing, or only conditions of unknown types.
    package var unknownVolumes: Int
    /// Events on conditions.
    package var events: Backlog
    /// Status updates.
    package var statuses: Backlog
    /// Whether the API server keeps `status.healthStatus` and allows this process to write it, as far as is known.
    package var isStatusSupported: Bool
    /// The capabilities that the driver lacks to report the health of its volumes; nil when it has them.
    package var missingCapabilities: String?
    /// nil until the driver is identified in this term.
    package var method: Method?
    /// Why the driver's list of volumes cannot be used: `no_conditions`, `foreign_ids`; nil when it can.
    package var listProblem: String?
    /// Whether so many volumes are missing at once that none of them is reported.
    package var isAbsenceSuspected = false
    /// The time from one probe of a volume to its next that is achieved; nil while volumes are not probed one by one.
    package var probeInterval: Duration?
    /// The outage of the driver, and how long it has lasted.
    package var outage: (outage: DriverOutage, age: Duration)?
    /// Whether the driver has an outage, as this or an earlier leader found; nil before anything is known.
    package var hasOutage: Bool?
    /// The share of unhealthy volumes among those that claims use; nil before the first sweep of a term, and without
    /// such volumes.
    package var unhealthyRatio: Double?
}

extension HealthSnapshot {
    /// Everything except ``unhealthyClaims``.
    init(countsOf state: borrowing HealthState, _ strategy: ProbeStrategy?, at now: Duration) {
        unhealthyClaims = []
        let counts = state.healthCounts
        healthyVolumes = counts[.healthy, default: 0]
        unhealthyVolumes = counts[.unhealthy, default: 0]
        unknownVolumes = counts[.unknown, default: 0]
        let adds = state.queueAdds
        let underWay = state.beginningsUnderWay
        events = Backlog(state.eventBacklog, adds: adds.events, underWay: underWay.events, at: now)
        statuses = Backlog(state.statusBacklog, adds: adds.statuses, underWay: underWay.statuses, at: now)
        isStatusSupported = state.isStatusSupported
        missingCapabilities = strategy == ProbeStrategy.none ? ProbeStrategy.missingCapabilities : nil
        method = strategy.map { Method(name: $0.method, generation: $0.generation?.rawValue ?? "none") }
        listProblem = state.listProblem?.label
        isAbsenceSuspected = state.absenceSuspicion != nil
        probeInterval = state.effectiveProbeInterval
        flappingClaims = state.flappingClaims
        outage = state.outage.map { ($0, now - $0.since) }
        hasOutage = state.hasOutage
        unhealthyRatio = state.volumeUsage.flatMap { usage in
            usage.volumes > 0 ? Double(usage.unhealthy) / Double(usage.volumes) : nil
        }
    }

    /// Counts volumes as stale whose last response is too old.
    ///
    /// - Parameter listAge: the age of the last complete list, in intervals, where volumes are listed.
    mutating func countStale(in state: borrowing HealthState, listAge: Double?, at now: Duration) {
        if let listAge {
            if listAge > 2 { (healthyVolumes, staleVolumes) = (0, staleVolumes + healthyVolumes) }
            if listAge > 5 { (unhealthyVolumes, staleVolumes) = (0, staleVolumes + unhealthyVolumes) }
            return
        }
        let unresponsive = state.unresponsiveVolumes(forIntervals: 2, at: now)
        guard !unresponsive.isEmpty, let interval = probeInterval else { return }
        let old = unresponsive.filter { $0.age > interval * 5 }
        for volume in unresponsive {
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
        unresponsiveClaims = state.claims(ofUnresponsive: old).map { ($0.claim.key, $0.age) }
    }
}

extension HealthSnapshot.UnhealthyClaim {
    init(_ claim: Claim, _ state: VolumeState, age: Duration) {
        self.init(namespace: claim.key.namespace, name: claim.key.name, state: state, age: age)
    }
}

/// The problems of the driver, copied from the state for health pages.
struct DriverProblems: Sendable, Hashable {
    var listProblem: ListProblem?
    var absenceSuspicion: AbsenceSuspicion?
    var knowsOnlyItsNode = false

    init(_ state: borrowing HealthState) {
        (listProblem, absenceSuspicion) = (state.listProblem, state.absenceSuspicion)
        knowsOnlyItsNode = state.knowsOnlyItsNode
    }

    init() {}

    /// One sentence per line; nil when there is no problem.
    ///
    /// - Parameter missingCapabilities: a sentence on the capabilities that the driver lacks; nil when it has them.
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
    /// The label of the metric.
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
        "the driver does not find \(missing.grouped) of \(used.grouped) volumes at once: it is suspected, and none of "
            + "them is reported missing yet"
    }
}

extension HealthSnapshot.Backlog {
    fileprivate init(
        _ backlog: (depth: Int, oldest: Duration?),
        adds: UInt64,
        underWay beginnings: [Duration],
        at now: Duration
    ) {
        let ages = beginnings.map { now - $0 }
        self.init(
            depth: backlog.depth,
            oldest: backlog.oldest.map { now - $0 } ?? .zero,
            adds: adds,
            unfinished: ages.reduce(.zero, +),
            longestRunning: ages.max() ?? .zero
        )
    }
}
