// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import ControllerCore
import HealthCore

/// A cluster with a few volumes, the core that monitors them, and the reports on their claims.
struct MonitoredCluster {
    /// A PersistentVolume and its claim.
    private struct Pair {
        var claim: Claim
        var volumeName: String
        var handle: String
        var isBound = true
        /// Whether the claim exists.
        var isPresent = true
    }

    /// The last one does not belong to a volume.
    static let handles = ["a", "b", "c", "d", "x"]

    private var pairs = [
        Self.pair("a", handle: "a"), Self.pair("b", handle: "b"),
        // Two volumes with one handle.
        Self.pair("c1", handle: "c"), Self.pair("c2", handle: "c"),
        Self.pair("d", handle: "d", isBound: false),
    ]
    private var healthState = HealthState()
    private var now = Duration.seconds(10_000)
    private var isListing = false
    private var events = ReportedStates.events
    private var statuses = ReportedStates.fields
    private var unknowns = RecordedUnknownConditions()

    init() {
        healthState.beginStrategy(writesStatus: true)
        for pair in pairs { apply(pair) }
    }

    private static func pair(_ name: String, handle: String, isBound: Bool = true) -> Pair {
        Pair(
            claim: Claim(key: ClaimKey(namespace: "default", name: name), uid: "uid-\(name)", resourceVersion: "1"),
            volumeName: "pv-\(name)",
            handle: handle,
            isBound: isBound
        )
    }

    private mutating func apply(_ pair: Pair) {
        let volume = MonitoredVolume(
            name: pair.volumeName,
            handle: pair.handle,
            claim: pair.claim.key,
            claimUID: pair.claim.uid,
            isBound: pair.isBound
        )
        healthState.apply(volume, at: now)
        healthState.apply(pair.claim, volumeName: pair.volumeName, at: now)
    }

    /// The unhealthy states by claim uid, as the core knows them.
    private var unhealthy: [String: VolumeState] {
        healthState.unhealthyStates(of: healthState.unhealthyClaims).reduce(into: [:]) { $0[$1.claim.uid] = $1.state }
    }
}

// MARK: Replies of the driver

extension MonitoredCluster {
    /// A page of a list; nil for a malformed page, which fails the list.
    mutating func list(_ page: [DriverReplies.Listed]?) throws(InvariantViolation) {
        if !isListing { healthState.beginSweep(at: now) }
        isListing = true
        guard let page else { return try breakList() }
        for (handle, report) in page {
            if let report {
                try report.requireBounds()
                healthState.receive(report, at: now)
            } else {
                healthState.receive(listedWithoutHealth: handle, at: now)
            }
        }
    }

    /// The list is complete. `result` is for the volumes that are not in it; nil when the driver cannot get one volume.
    mutating func completeList(
        _ kind: HealthState.ListKind,
        confirming result: ProbeResult?
    ) throws(InvariantViolation) {
        guard isListing else { return }
        isListing = false
        let absent = healthState.endSweep(.complete(kind, canConfirm: result != nil), at: now)
        try require(result != nil || absent.isEmpty, "absent volumes that cannot be confirmed: \(absent)")
        for handle in absent {
            if let result { try receive(result, of: handle) }
        }
    }

    /// A page failed: unhealthy volumes stay unhealthy (rules 1 and 2).
    mutating func breakList() throws(InvariantViolation) {
        guard isListing else { return }
        isListing = false
        let before = unhealthy
        let absent = healthState.endSweep(.incomplete, at: now)
        try require(absent.isEmpty, "an incomplete list has no absent volumes: \(absent)")
        for uid in before.keys {
            try require(unhealthy[uid] != nil, "an incomplete list clears \(uid)")
        }
    }

    mutating func receive(_ result: ProbeResult, of handle: String) throws(InvariantViolation) {
        let before = unhealthy
        if case .report(let report) = result { try report.requireBounds() }
        healthState.receive(result, ofVolumeHandle: handle, at: now)
        switch result {
        case .failed, .interrupted:
            try require(unhealthy == before, "a failed call changes the state")
        case .notFound:
            for uid in before.keys { try require(unhealthy[uid] != nil, "a volume that is not found is healthy") }
        case .report(let report) where report.conditions.isEmpty && !report.isHealthy:
            // But the driver has found a volume that was missing.
            let after = unhealthy
            let missing = VolumeHealthCondition.notFound(volumeHandle: handle)
            let expected = before.filter { uid, state in after[uid] != nil || state.conditions != [missing] }
            try require(after == expected, "a report without known conditions changes the state")
        case .report, .withoutHealth:
            break
        }
    }
}

// MARK: Changes and reports

extension MonitoredCluster {
    mutating func advance(_ duration: Duration) {
        now += duration
    }

    /// Deletes a claim, or creates it again with another uid.
    mutating func change(_ choice: UInt8) {
        let position = Int(choice) % pairs.count
        if pairs[position].isPresent {
            healthState.removeClaim(pairs[position].claim.key, at: now)
            forget(pairs[position].claim.uid)
        } else {
            pairs[position].claim.uid += "'"
            apply(pairs[position])
        }
        pairs[position].isPresent.toggle()
    }

    private mutating func forget(_ uid: String) {
        events.forget(uid)
        statuses.forget(uid)
        unknowns.forget(uid)
    }

    /// Requires a claim that is bound to a volume of the driver.
    private func requireKnown(_ claim: Claim) throws(InvariantViolation) {
        try require(
            pairs.contains { $0.isPresent && $0.isBound && $0.claim == claim },
            "a report on a claim without a volume of the driver: \(claim)"
        )
    }

    /// Reports everything that is due, always with the same outcome.
    mutating func reportAll(_ outcome: ReportOutcome) throws(InvariantViolation) {
        while case .run(let pendingReport) = healthState.nextEvent(at: now) {
            try requireKnown(pendingReport.claim)
            try events.report(pendingReport, outcome, at: now)
            try pendingReport.requireEventBounds()
            healthState.complete(event: pendingReport, outcome, at: now)
        }
        while case .run(let pendingReport) = healthState.nextStatus(at: now) {
            try requireKnown(pendingReport.claim)
            try statuses.report(pendingReport, outcome, at: now)
            try pendingReport.requirePatch()
            healthState.complete(status: pendingReport, outcome, at: now)
            if outcome == .reported { show(pendingReport) }
        }
        while case .run(let pendingReport) = healthState.nextUnknownEvent(at: now) {
            try requireKnown(pendingReport.claim)
            try unknowns.report(pendingReport, outcome)
            healthState.complete(unknownEvent: pendingReport, outcome, at: now)
        }
    }

    /// The watch delivers a written status.
    private mutating func show(_ pendingReport: PendingReport<ClaimNumber, VolumeState, Claim>) {
        guard let pair = pairs.first(where: { $0.claim.key == pendingReport.claim.key }) else { return }
        healthState.written(
            pendingReport.claim,
            volumeName: pair.volumeName,
            healthStatus: pendingReport.state.conditions,
            at: now
        )
    }
}
