// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// The heart of the monitor: takes what the driver says and what the cluster holds, and gives what to tell.
///
/// Pure and deterministic. Time is passed in as a `Duration` since any fixed moment of a monotonic clock; whoever
/// calls owns sockets and clocks. The rules by number are those of docs/architecture.md, "The contract".
///
/// What it knows of the cluster comes from the watches (`Reconciler+Cluster.swift`). The driver is asked in one of two
/// ways: for all volumes, in sweeps (`Reconciler+Sweep.swift`), or for one volume after the other
/// (`Reconciler+Probe.swift`). What is to be told is taken in three streams: events on conditions, events on conditions
/// of unknown types, and status fields (`Reconciler+Telling.swift`).
public struct Reconciler: Sendable {
    /// What is told, and where.
    public struct Configuration: Sendable {
        /// Whether a volume that the driver does not find any more is told as one.
        public var reportsMissingVolumes: Bool

        /// Describes what is told.
        public init(reportsMissingVolumes: Bool = true) {
            self.reportsMissingVolumes = reportsMissingVolumes
        }
    }

    /// How many conditions of unknown types are told of one claim.
    static let maximumUnknownConditions = 16

    let configuration: Configuration
    var index = ClaimIndex()
    var events = Outbox<ClaimNumber, VolumeState>(timing: .lastingEvents)
    var statuses = Outbox<ClaimNumber, VolumeState>(timing: .fields)
    var unknowns = Outbox<UnknownConditionKey, UnknownConditionState>(timing: .singleEvents)
    /// Whether conditions go to the claims' status fields too; when not, what stands there is cleared.
    var writesStatus = true
    var sweep = Sweep()
    /// Set while volumes are asked for one by one.
    var probes: ProbeSchedule?

    /// A reconciler that knows nothing yet.
    public init(configuration: Configuration = Configuration()) {
        self.configuration = configuration
    }

    /// How many volumes are in which health, of those that a PersistentVolume has.
    public var healthCounts: [KnownHealth: Int] {
        index.healthCounts
    }

    /// Takes up what the driver says of a volume, when it can be believed.
    mutating func conclude(_ state: VolumeState, of handle: HandleNumber, at now: Duration) {
        index.update(handle) { $0.health = state.isClear ? .healthy : .adverse }
        for claim in index.claims(of: handle) {
            events.set(state, for: claim, at: now)
            setStatus(writesStatus ? state : .clear, for: claim, at: now)
        }
    }

    /// As ``conclude(_:of:at:)``, for a handle that may have no volume any more.
    mutating func conclude(_ state: VolumeState, ofVolumeHandle handle: String, at now: Duration) {
        if let handle = index.number(ofVolumeHandle: handle) { conclude(state, of: handle, at: now) }
    }

    /// Conditions of unknown types are told, once each, and say nothing else.
    mutating func conclude(unknown conditions: [UnknownCondition], of handle: HandleNumber, at now: Duration) {
        guard !conditions.isEmpty else { return }
        for claim in index.claims(of: handle) {
            for condition in conditions {
                let state = UnknownConditionState(condition: condition)
                let key = UnknownConditionKey(claim: claim, fingerprint: state.fingerprint)
                if unknowns.contains(key) { continue }
                // A driver that never says the same twice is not told for ever.
                let told = unknowns.keys.count { $0.claim == claim }
                if told < Self.maximumUnknownConditions { unknowns.set(state, for: key, at: now) }
            }
        }
    }

    mutating func setStatus(_ state: VolumeState, for claim: ClaimNumber, at now: Duration) {
        if !statuses.contains(claim) {
            let observed = index.healthStatus(of: claim)
            if observed.isClear, state.isClear { return }
            statuses.observe(told: observed, for: claim, at: now)
        }
        statuses.set(state, for: claim, at: now)
    }

    /// Whether people were told that something is wrong with the volume, or are about to be.
    func isKnownAdverse(_ handle: HandleNumber) -> Bool {
        if events.isEmpty, statuses.isEmpty, !index.hasHealthStatuses { return false }
        return index.claims(of: handle).contains { claim in
            events.contains(claim) || statuses.contains(claim) || !index.healthStatus(of: claim).isClear
        }
    }

    /// Of all volumes, those for which ``isKnownAdverse(_:)`` holds, and whose record passes the test.
    func knownAdverseHandles(where isIncluded: (ClaimIndex.HandleRecord) -> Bool) -> Set<String> {
        var handles: Set<String> = []
        func add(_ claim: ClaimNumber) {
            guard let record = index.record(ofVolumeOf: claim), isIncluded(record) else { return }
            if let handle = index.volumeHandle(of: claim) { handles.insert(handle) }
        }
        for claim in events.keys { add(claim) }
        for claim in statuses.keys { add(claim) }
        for claim in index.healthStatuses.keys { add(claim) }
        return handles
    }
}
