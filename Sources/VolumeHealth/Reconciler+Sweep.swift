// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// The driver is asked for all volumes in sweeps: ``Reconciler/beginSweep()``, any number of
/// ``Reconciler/receive(_:at:)``, ``Reconciler/endSweep(_:at:)``.
///
/// What is wrong with a volume that was well counts at once. All else counts when the list that says so is complete: a
/// later page may disagree, or have more of the same volume (rule 2).
extension Reconciler {
    /// What a complete list of the driver means for a volume that is not in it.
    public enum ListKind: Sendable, Hashable {
        /// ListVolumes: it has every volume, so one that was in it before is missing.
        case everyVolume
        /// ControllerListVolumeHealth: it may leave out what is well.
        case adverseVolumes
    }

    /// How a sweep ended.
    public enum SweepEnd: Sendable, Hashable {
        /// A call failed: the list says nothing of what is not in it (rule 2).
        case incomplete
        /// The list is complete. `canConfirm`: the driver can be asked for a single volume.
        case complete(ListKind, canConfirm: Bool)
    }

    /// What the driver said since the sweep began.
    struct Sweep: Sendable {
        var number: UInt32 = 0
        /// What it said is wrong, of volumes that a PersistentVolume has.
        var adverse: [String: VolumeHealthReport] = [:]
        /// Volumes said to be well that were not, as far as people know.
        var recovered: Set<String> = []
    }

    /// The driver is about to be asked for all volumes. A sweep that was not ended is forgotten.
    public mutating func beginSweep() {
        // 0 is no sweep's number.
        sweep = Sweep(number: max(1, sweep.number &+ 1))
    }

    /// The driver said something of a volume. A failed call is not a report and must not be made one (rule 1).
    ///
    /// Volumes that no PersistentVolume has are ignored, and cost nothing.
    public mutating func receive(_ report: VolumeHealthReport, at now: Duration) {
        let number = sweep.number
        var isOurs = false
        index.update(report.volumeHandle) { record in
            isOurs = true
            record.lastListed = number
            record.isMissing = false
            if report.isHealthy, record.health == .unknown { record.health = .healthy }
        }
        guard isOurs else { return }
        if report.isHealthy {
            // Almost every report of almost every sweep ends here.
            if isKnownAdverse(report.volumeHandle) { sweep.recovered.insert(report.volumeHandle) }
            return
        }
        var merged = report
        if let earlier = sweep.adverse[report.volumeHandle] {
            merged = earlier
            merged.merge(report)
        }
        sweep.adverse[report.volumeHandle] = merged
        conclude(unknown: merged.unknownConditions, ofVolumeHandle: report.volumeHandle, at: now)
        if merged.conditions.isEmpty {
            // Not understood, so nothing that was known has passed (rule 6).
            index.update(report.volumeHandle) { if $0.health == .healthy { $0.health = .unknown } }
        } else if !isKnownAdverse(report.volumeHandle) {
            conclude(merged.conditions, ofVolumeHandle: report.volumeHandle, at: now)
        }
        // What is known already waits for the end of the sweep: another page may have the rest of it.
    }

    /// The driver listed a volume and said nothing of its health.
    public mutating func receive(listedWithoutHealth handle: String, at now: Duration) {
        let number = sweep.number
        index.update(handle) { $0.lastListed = number }
        found(handle, at: now)
    }

    /// The sweep is over. An incomplete one clears nothing (rule 2); a complete one clears what it said is well (rule 3),
    /// and counts what is not in it as absent (rule 4).
    ///
    /// - Returns: volumes whose absence the driver is to confirm, each by a call and
    ///   ``receive(_:ofVolumeHandle:at:)``; empty unless `canConfirm`.
    public mutating func endSweep(_ end: SweepEnd, at now: Duration) -> [String] {
        defer { sweep = Sweep(number: sweep.number) }
        guard case .complete(let kind, let canConfirm) = end else {
            for report in sweep.adverse.values where !report.conditions.isEmpty {
                conclude(atLeast: report, at: now)
            }
            return []
        }
        for (handle, report) in sweep.adverse where !report.conditions.isEmpty {
            conclude(report.conditions, ofVolumeHandle: handle, at: now)
        }
        for handle in sweep.recovered where sweep.adverse[handle] == nil {
            conclude([], ofVolumeHandle: handle, at: now)
        }
        let number = sweep.number
        switch kind {
        case .everyVolume:
            // One that no list of this process had is not absent; what an earlier process told of it can be confirmed.
            var absent = index.handles { $0.lastListed != number && $0.lastListed != 0 }
            if canConfirm {
                absent += knownAdverseHandles.filter { index.record(ofVolumeHandle: $0)?.lastListed == 0 }
            }
            return absence(of: absent, canConfirm: canConfirm, at: now) { reconciler, handle in
                reconciler.concludeMissing(handle, at: now)
            }
        case .adverseVolumes:
            let absent = knownAdverseHandles.filter { index.record(ofVolumeHandle: $0)?.lastListed != number }
            // A volume that is told of and left out is asked for first.
            let unknown = absent.filter { index.record(ofVolumeHandle: $0)?.health == .unknown }
            index.updateAll { if $0.lastListed != number, $0.health == .unknown { $0.health = .healthy } }
            for handle in unknown {
                index.update(handle) { $0.health = .unknown }
            }
            return absence(of: absent, canConfirm: canConfirm, at: now) { reconciler, handle in
                reconciler.conclude([], ofVolumeHandle: handle, at: now)
            }
        }
    }

    /// Rule 4: one confirming call where the driver has it, otherwise two complete lists in a row.
    private mutating func absence(
        of handles: some Collection<String>,
        canConfirm: Bool,
        at now: Duration,
        conclude: (inout Reconciler, String) -> Void
    ) -> [String] {
        let used = handles.filter(index.hasClaim(ofVolumeHandle:)).sorted()
        for handle in used {
            if !canConfirm, index.record(ofVolumeHandle: handle)?.isMissing == true { conclude(&self, handle) }
            index.update(handle) { $0.isMissing = true }
        }
        return canConfirm ? used : []
    }

    /// What a list that is not complete found wrong, and what is known besides.
    private mutating func conclude(atLeast report: VolumeHealthReport, at now: Duration) {
        var all = report
        for claim in index.claims(ofVolumeHandle: report.volumeHandle) {
            // That it was missing has passed: it is in the list.
            let known = (events.current(claim.uid)?.conditions ?? []).filter {
                $0 != .notFound(volumeHandle: report.volumeHandle)
            }
            all.merge(VolumeHealthReport(volumeHandle: report.volumeHandle, conditions: known))
        }
        conclude(all.conditions, ofVolumeHandle: report.volumeHandle, at: now)
    }

    /// The driver has the volume and says nothing of its health: that it was missing has passed, and nothing else.
    mutating func found(_ handle: String, at now: Duration) {
        index.update(handle) { $0.isMissing = false }
        let missing = VolumeState([.notFound(volumeHandle: handle)]).fingerprint
        guard index.claims(ofVolumeHandle: handle).contains(where: { events.news($0.uid) == missing }) else { return }
        conclude([], ofVolumeHandle: handle, at: now)
        index.update(handle) { $0.health = .unknown }
    }

    /// Rule 5.
    mutating func concludeMissing(_ handle: String, at now: Duration) {
        guard configuration.reportsMissingVolumes else { return }
        conclude([.notFound(volumeHandle: handle)], ofVolumeHandle: handle, at: now)
    }
}
