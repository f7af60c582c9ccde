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
/// - Reports: what the driver has shown of a volume goes to `HealthState+Reporting.swift`, which decides whether it is
///   reported now or held back (`HealthState+Holding.swift`).
/// - Terms: between two terms only the caches of the cluster are kept (`HealthState+Term.swift`); what earlier leaders
///   reported is restored (`HealthState+Restore.swift`).
///
/// Reports are six streams, each a ``HealthCore/ReportQueue`` with a `next…` and a `complete(…)`:
///
/// | Stream | File |
/// |---|---|
/// | events on conditions | `HealthState+Reporting.swift` |
/// | events on conditions of unknown types | `HealthState+Unknowns.swift` |
/// | events on volumes for which the driver does not respond | `HealthState+Responses.swift` |
/// | events on flapping volumes | `HealthState+Holding.swift` |
/// | events on the driver | `HealthState+Outage.swift` |
/// | status updates | `HealthState+Status.swift` |
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
    var unusedProbesEndedAt: Duration?
    /// Changes that have not held for long enough: they are in no queue.
    var holds: HeldChanges<ClaimNumber, VolumeState>
    /// Which claims change too often; their changes wait here, in no queue.
    var flaps: FlapGuard<ClaimNumber, VolumeState>
    /// The claims that are flapping.
    var flapEvents = ReportQueue<ClaimNumber, FlappingState, Claim>(timing: .flapping)
    var outages = ReportQueue<DriverFact, OutageState, DriverTarget>(timing: .outageEvents)
    var outageDetector = OutageDetector<HandleNumber>()
    /// Until the end of the first sweep of the term: since when volumes were unhealthy, as earlier leaders reported, if
    /// the driver shows another state of them now.
    var unhealthyBefore: [ClaimNumber: Duration] = [:]
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
    /// How often events on claims were released that had waited for the event on an outage, or will be earlier.
    var outageReleases: UInt64 = 0
    /// The last list was incomplete.
    var isListOpen = false
    /// The fingerprints in ``unknowns``, by claim; a bounded number each.
    var unknownFingerprints: [ClaimNumber: [Fingerprint]] = [:]
    /// Whether conditions are written to `status.healthStatus`; if not, the field is cleared.
    var writesStatus = true
    /// Whether the API server keeps `status.healthStatus`; nil until it is known.
    package internal(set) var keepsHealthStatus: Bool?
    /// The namespaces of the last ``nextStatusTrial()``s, until each of them has had a turn.
    var triedNamespaces: Set<String> = []
    /// The namespaces in which `status.healthStatus` was dropped since it was last kept.
    var droppingNamespaces: Set<String> = []
    /// Three namespaces have decided that the field is no longer kept.
    var haveThreeDecided = false
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
    /// How many entries the last complete list of every volume had that was not empty.
    var entriesOfLastList = 0
    /// Whether the driver finds exactly those volumes in use that do not belong to another node: it knows only its own
    /// node's volumes. Then no volume of another node is reported missing.
    package internal(set) var knowsOnlyItsNode = false
    /// Whether ``knowsOnlyItsNode`` was decided: by a volume of another node that was found, or when volumes were missing
    /// and all had been listed or probed.
    var isLocalityKnown = false
    /// Whether the driver has found a volume of another node since it was identified. A node selector that names a zone
    /// counts as one of another node, so without this a driver that loses all volumes would be taken for one that knows
    /// only its node's.
    var isLocalityRefuted = false
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
}
