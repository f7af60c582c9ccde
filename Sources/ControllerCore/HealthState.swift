// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

package import HealthCore

/// The state of the monitor: takes the driver's responses and the cluster's objects, and returns what to report.
///
/// Pure and deterministic: time is passed in as a `Duration` since any fixed moment of a monotonic clock, and the
/// caller owns sockets and clocks. The rules by number are those of docs/architecture.md, "The contract".
///
/// - Cluster: the watches apply PersistentVolumes and PersistentVolumeClaims (`HealthState+Cluster.swift`).
/// - Driver: its volumes are listed in sweeps (`HealthState+Sweep.swift`), probed one by one
///   (`HealthState+Probe.swift`), or both.
/// - Holding back: what must last before it is reported, and volumes that change too often (`HealthState+Holding.swift`).
/// - Reports: six streams, each a ``HealthCore/ReportQueue``. Events on conditions and events on conditions of unknown
///   types (`HealthState+Reporting.swift`), events on volumes for which the driver does not respond
///   (`HealthState+Responses.swift`), events on flapping (`HealthState+Holding.swift`), status updates
///   (`HealthState+Status.swift`), and events on the driver (`HealthState+Outage.swift`).
/// - Terms: between two terms only the caches of the cluster are kept (`HealthState+Term.swift`).
package struct HealthState: Sendable {
    /// What is reported, when and where.
    package struct Configuration: Sendable {
        /// Whether volumes that the driver does not find are reported.
        package var reportsMissingVolumes: Bool
        /// When missing volumes are reported.
        package var absenceLimits: AbsenceLimits
        /// When the status of a claim shows its volume's health as a condition.
        package var claimConditions: ClaimConditionPolicy
        /// How long calls for a volume must fail before an event is recorded on its claim; nil: no event is recorded.
        package var unresponsiveAfter: Duration?
        /// When unhealthy volumes are an outage of the driver; nil: no outage is reported.
        package var outageLimits: OutageLimits?
        /// How long a change must have held before it is reported.
        package var holdTimes: HoldTimes
        /// When a volume is flapping.
        package var flapping: FlappingLimits

        package init(
            reportsMissingVolumes: Bool = true,
            absenceLimits: AbsenceLimits = AbsenceLimits(),
            claimConditions: ClaimConditionPolicy = .auto,
            unresponsiveAfter: Duration? = .seconds(15 * 60),
            outageLimits: OutageLimits? = nil,
            holdTimes: HoldTimes = HoldTimes(),
            flapping: FlappingLimits = .off
        ) {
            self.reportsMissingVolumes = reportsMissingVolumes
            self.absenceLimits = absenceLimits
            self.claimConditions = claimConditions
            self.unresponsiveAfter = unresponsiveAfter
            self.outageLimits = outageLimits
            self.holdTimes = holdTimes
            self.flapping = flapping
        }
    }

    /// How many conditions of unknown types are reported on one claim.
    static let maximumUnknownConditions = 16

    let configuration: Configuration
    var index = ClaimIndex()
    var events = ReportQueue<ClaimNumber, VolumeState, Claim>(timing: .lastingEvents)
    /// The states that earlier leaders reported, as their events show them, until the driver's first response for the
    /// volume in this term.
    var reportedBefore: [ClaimNumber: VolumeState] = [:]
    var statuses = ReportQueue<ClaimNumber, VolumeState, Claim>(timing: .fields)
    var unknowns = ReportQueue<UnknownConditionKey, UnknownCondition, Claim>(timing: .singleEvents)
    var responses = ReportQueue<ClaimNumber, ResponseState, Claim>(timing: .lastingEvents)
    var responsesReviewedAt: Duration?
    /// Changes that have not held for long enough: they are in no queue.
    var holds: HeldChanges<ClaimNumber, VolumeState>
    /// Which claims change too often; their changes wait here, in no queue.
    var flaps: FlapGuard<ClaimNumber, VolumeState>
    /// The claims that are flapping.
    var flapEvents = ReportQueue<ClaimNumber, FlappingState, Claim>(timing: .flapping)
    var outages = ReportQueue<DriverFact, OutageState, DriverTarget>(timing: .outageEvents)
    var outageDetector = OutageDetector<HandleNumber>()
    /// Set while the driver has an outage, as of the last review.
    package internal(set) var outage: DriverOutage?
    /// How many volumes claims use, and how many of these are unhealthy, as of the last review; nil before the first
    /// sweep of the term.
    package internal(set) var volumeUsage: VolumeUsage?
    var outageReviewedAt = Duration.zero
    /// How many volumes claims used at the last count.
    var volumesInUse = 0
    /// The event on an outage has not been attempted yet: until this moment, events on claims wait for it.
    var outagePrecedence: Duration?
    /// How often an outage has begun in this term.
    var outageBeginnings: UInt64 = 0
    /// How often events on claims were released that had waited for the event on an outage.
    var outageReleases: UInt64 = 0
    /// The last list was incomplete.
    var isListOpen = false
    /// The fingerprints in ``unknowns``, by claim: at most ``maximumUnknownConditions`` each.
    var unknownFingerprints: [ClaimNumber: [Fingerprint]] = [:]
    /// Whether conditions are written to `status.healthStatus`; if not, the field is cleared.
    var writesStatus = true
    /// Whether the API server keeps `status.healthStatus`; nil until it is known.
    package internal(set) var keepsHealthStatus: Bool?
    var sweep = Sweep()
    /// Set while single volumes can be probed: all of them, or those for which lists are not enough.
    var probes: ProbeSchedule<String>?
    /// Whether ``probes`` contains every volume that a claim uses.
    var probesEveryVolume = false
    /// Set while unhealthy volumes are probed more often than the others.
    var rechecks: RecheckSchedule<String>?
    /// What calls have shown between lists.
    var callRecoveries = CallRecoveries<HandleNumber>()
    var absences: AbsenceGuard<HandleNumber>
    /// How many volumes were in use at the last complete list.
    var usedAtLastList = 0
    /// How many entries the last complete list of every volume had that was not empty.
    var entriesOfLastList = 0
    /// Whether the driver finds exactly those volumes in use that do not belong to another node: it knows only its own
    /// node's volumes. Then no volume of another node is reported missing.
    package internal(set) var knowsOnlyItsNode = false
    /// Whether ``knowsOnlyItsNode`` was decided: all volumes have been listed or probed since the driver was
    /// identified.
    var isLocalityKnown = false
    /// Why the last complete list of every volume cannot be used; nil if it can.
    package internal(set) var listProblem: ListProblem?
    /// Whether the lease is not held: nothing is queued.
    var isStandby = false

    package init(configuration: Configuration = Configuration()) {
        self.configuration = configuration
        absences = AbsenceGuard(limits: configuration.absenceLimits)
        holds = HeldChanges(configuration.holdTimes)
        flaps = FlapGuard(configuration.flapping)
    }

    /// Set while so many volumes are missing that none of them is reported. nil when the driver knows only its own
    /// node's volumes, and until that is decided while there are volumes of other nodes.
    package var absenceSuspicion: AbsenceSuspicion? {
        if knowsOnlyItsNode || (!isLocalityKnown && index.volumesOfOtherNodes > 0) { return nil }
        return absences.suspicion
    }

    /// Whether calls for single volumes have contradicted the lists: these volumes, or all, are not probed more often.
    package var callsContradictLists: Bool { callRecoveries.isContradicted }

    /// How many volume handles with a PersistentVolume there are by health.
    package var healthCounts: [KnownHealth: Int] {
        index.healthCounts
    }

    /// Sets the health of a volume, and queues the reports on its claims that need not be held back.
    ///
    /// - Parameters:
    ///   - isConfirmed: the state has lasted for a hold of its own, ``HoldTimes`` do not apply.
    ///   - observed: when the driver observed the state: the beginning of a list; nil: now.
    mutating func setHealth(
        _ state: VolumeState,
        of handle: HandleNumber,
        isConfirmed: Bool = false,
        observed: Duration? = nil,
        at now: Duration
    ) {
        index.update(handle) { $0.health = state.isClear ? .healthy : .unhealthy }
        for claim in index.claims(of: handle) {
            report(state, on: claim, isConfirmed: isConfirmed, observed: observed ?? now, at: now)
        }
        recheck(handle, at: now)
    }

    /// The same for a handle that may have no PersistentVolume any more.
    mutating func setHealth(
        _ state: VolumeState,
        ofVolumeHandle handle: String,
        isConfirmed: Bool = false,
        at now: Duration
    ) {
        guard let handle = index.number(ofVolumeHandle: handle) else { return }
        setHealth(state, of: handle, isConfirmed: isConfirmed, at: now)
    }

    /// Queues an event for each condition of an unknown type, once for each type and reason. The health of the volume
    /// does not change.
    mutating func setHealth(unknown conditions: [UnknownCondition], of handle: HandleNumber, at now: Duration) {
        guard !conditions.isEmpty else { return }
        for claim in index.claims(of: handle) {
            for condition in conditions {
                let key = UnknownConditionKey(claim: claim, fingerprint: condition.fingerprint)
                if unknowns.contains(key) { continue }
                // Bounded, in case a driver never reports the same condition twice.
                if register(key) { unknowns.set(condition, for: key, at: now) }
            }
        }
    }

    /// Registers an unknown condition of a claim. Returns false when the claim has the maximum of others already.
    mutating func register(_ key: UnknownConditionKey) -> Bool {
        let known = unknownFingerprints[key.claim, default: []]
        if known.contains(key.fingerprint) { return true }
        guard known.count < Self.maximumUnknownConditions else { return false }
        unknownFingerprints[key.claim, default: []].append(key.fingerprint)
        return true
    }

    /// Whether the volume was reported as unhealthy, or is about to be: on any of its claims, by an event or by status.
    func isKnownUnhealthy(_ handle: HandleNumber) -> Bool {
        if events.isEmpty, statuses.isEmpty, holdsBackNothing, !index.hasUnhealthyStatuses { return false }
        return index.claims(of: handle).contains { claim in
            events.contains(claim) || statuses.contains(claim) || index.showsUnhealthy(claim)
                || heldBack(on: claim) != nil
        }
    }

    /// The handles for which ``isKnownUnhealthy(_:)`` is true and whose record satisfies the predicate.
    func knownUnhealthyHandles(where isIncluded: (ClaimIndex.HandleRecord) -> Bool) -> Set<String> {
        var handles: Set<String> = []
        func add(_ claim: ClaimNumber) {
            guard let record = index.record(ofVolumeOf: claim), isIncluded(record) else { return }
            if let handle = index.volumeHandle(of: claim) { handles.insert(handle) }
        }
        for claim in events.keys { add(claim) }
        for claim in statuses.keys { add(claim) }
        for claim in claimsHeldBack { add(claim) }
        for claim in index.unhealthyStatuses { add(claim) }
        return handles
    }
}
