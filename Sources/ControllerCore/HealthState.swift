// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthCore

/// The heart of the monitor: takes what the driver says and what the cluster holds, and gives what to report.
///
/// Pure and deterministic. Time is passed in as a `Duration` since any fixed moment of a monotonic clock; whoever
/// calls owns sockets and clocks. The rules by number are those of docs/architecture.md, "The contract".
///
/// What it knows of the cluster comes from the watches (`HealthState+Cluster.swift`). The driver is asked in one of two
/// ways: for all volumes, in sweeps (`HealthState+Sweep.swift`), or for one volume after the other
/// (`HealthState+Probe.swift`). What is to be reported is taken in three streams: events on conditions, events on conditions
/// of unknown types, and status fields (`HealthState+Reporting.swift`).
package struct HealthState: Sendable {
    /// What is reported, and where.
    package struct Configuration: Sendable {
        /// Whether a volume that the driver does not find any more is reported as one.
        package var reportsMissingVolumes: Bool
        /// When it is.
        package var absenceLimits: AbsenceLimits
        /// When a claim's health is shown as a condition in its status.
        package var claimConditions: ClaimConditionPolicy
        /// How long calls for a volume must fail before its claim is reported; nil: it is not.
        package var unansweredLimit: Duration?

        /// Describes what is reported.
        package init(
            reportsMissingVolumes: Bool = true,
            absenceLimits: AbsenceLimits = AbsenceLimits(),
            claimConditions: ClaimConditionPolicy = .auto,
            unansweredLimit: Duration? = .seconds(15 * 60)
        ) {
            self.reportsMissingVolumes = reportsMissingVolumes
            self.absenceLimits = absenceLimits
            self.claimConditions = claimConditions
            self.unansweredLimit = unansweredLimit
        }
    }

    /// How many conditions of unknown types are reported of one claim.
    static let maximumUnknownConditions = 16

    let configuration: Configuration
    var index = ClaimIndex()
    var events = ReportQueue<ClaimNumber, VolumeState, Claim>(timing: .lastingEvents)
    /// What earlier leaders have reported, as their events have it, until the driver has been asked in this term.
    var reportedBefore: [ClaimNumber: VolumeState] = [:]
    var statuses = ReportQueue<ClaimNumber, VolumeState, Claim>(timing: .fields)
    var unknowns = ReportQueue<UnknownConditionKey, UnknownConditionState, Claim>(timing: .singleEvents)
    var responses = ReportQueue<ClaimNumber, ResponseState, Claim>(timing: .lastingEvents)
    var unansweredReviewedAt: Duration?
    /// What is in ``unknowns``, by claim: at most ``maximumUnknownConditions`` each.
    var unknownFingerprints: [ClaimNumber: [Fingerprint]] = [:]
    /// Whether conditions go to the claims' status fields too; when not, what stands there is cleared.
    var writesStatus = true
    /// Whether the API server keeps `status.healthStatus`; nil until it is known.
    package internal(set) var keepsHealthStatus: Bool?
    var sweep = Sweep()
    /// Set while single volumes can be probed: all of them, or those that a list says too little of.
    var probes: ProbeSchedule<String>?
    /// Whether ``probes`` has every volume that a claim uses.
    var probesEveryVolume = false
    var absences: AbsenceGuard<HandleNumber>
    /// How many volumes claims use, as of the last complete list.
    var usedAtLastList = 0
    /// How many entries the last complete list of every volume had.
    var entriesOfLastList = 0
    /// Of the volumes in use, the driver has found exactly those that are not of another node than ours: it knows only its
    /// node's volumes. Then none of another node is reported missing.
    package internal(set) var knowsOnlyItsNode = false
    /// All volumes have been looked for since the driver was identified: before that it is not known.
    var isLocalityJudged = false
    /// Why the last complete list of every volume is of no use.
    package internal(set) var listProblem: ListProblem?
    /// Another replica leads: nothing is queued.
    var isStandby = false

    /// A healthState that knows nothing yet.
    package init(configuration: Configuration = Configuration()) {
        self.configuration = configuration
        absences = AbsenceGuard(limits: configuration.absenceLimits)
    }

    /// Set while so many volumes are missing that none of them is reported. Not where the driver knows only its node's
    /// volumes, nor before that is known while there are volumes of other nodes.
    package var absenceSuspicion: AbsenceSuspicion? {
        if knowsOnlyItsNode || (!isLocalityJudged && index.volumesOfOtherNodes > 0) { return nil }
        return absences.suspicion
    }

    /// How many volumes are in which health, of those that a PersistentVolume has.
    package var healthCounts: [KnownHealth: Int] {
        index.healthCounts
    }

    /// Takes up what the driver says of a volume, when it can be believed.
    mutating func setHealth(_ state: VolumeState, of handle: HandleNumber, at now: Duration) {
        index.update(handle) { $0.health = state.isClear ? .healthy : .unhealthy }
        for claim in index.claims(of: handle) {
            if !reportedBefore.isEmpty { reportedBefore[claim] = nil }
            events.set(state, for: claim, at: now)
            setStatus(state, for: claim, at: now)
        }
    }

    /// As ``setHealth(_:of:at:)``, for a handle that may have no volume any more.
    mutating func setHealth(_ state: VolumeState, ofVolumeHandle handle: String, at now: Duration) {
        if let handle = index.number(ofVolumeHandle: handle) { setHealth(state, of: handle, at: now) }
    }

    /// Conditions of unknown types are reported, once each, and say nothing else.
    mutating func setHealth(unknown conditions: [UnknownCondition], of handle: HandleNumber, at now: Duration) {
        guard !conditions.isEmpty else { return }
        for claim in index.claims(of: handle) {
            for condition in conditions {
                let state = UnknownConditionState(condition: condition)
                let key = UnknownConditionKey(claim: claim, fingerprint: state.fingerprint)
                if unknowns.contains(key) { continue }
                // A driver that never reports the same twice is not reported for ever.
                if register(key) { unknowns.set(state, for: key, at: now) }
            }
        }
    }

    /// Whether there is room for one more unknown condition of this claim, or it had this one before.
    mutating func register(_ key: UnknownConditionKey) -> Bool {
        let known = unknownFingerprints[key.claim, default: []]
        if known.contains(key.fingerprint) { return true }
        guard known.count < Self.maximumUnknownConditions else { return false }
        unknownFingerprints[key.claim, default: []].append(key.fingerprint)
        return true
    }

    /// Whether people were reported that something is wrong with the volume, or are about to be.
    func isKnownUnhealthy(_ handle: HandleNumber) -> Bool {
        if events.isEmpty, statuses.isEmpty, !index.hasUnhealthyStatuses { return false }
        return index.claims(of: handle).contains { claim in
            events.contains(claim) || statuses.contains(claim) || index.showsUnhealthy(claim)
        }
    }

    /// Of all volumes, those for which ``isKnownUnhealthy(_:)`` holds, and whose record passes the test.
    func knownUnhealthyHandles(where isIncluded: (ClaimIndex.HandleRecord) -> Bool) -> Set<String> {
        var handles: Set<String> = []
        func add(_ claim: ClaimNumber) {
            guard let record = index.record(ofVolumeOf: claim), isIncluded(record) else { return }
            if let handle = index.volumeHandle(of: claim) { handles.insert(handle) }
        }
        for claim in events.keys { add(claim) }
        for claim in statuses.keys { add(claim) }
        for claim in index.unhealthyStatuses { add(claim) }
        return handles
    }
}
