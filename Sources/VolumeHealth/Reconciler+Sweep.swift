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

    /// What the driver said since the sweep began. Of a handle that the sweep has not listed it says nothing: then the
    /// number was another's before.
    struct Sweep: Sendable {
        var number: UInt32 = 0
        /// What it said is wrong, as far as it is understood, of volumes that a PersistentVolume has.
        var adverse = DenseDictionary<HandleNumber, VolumeState>()
        /// Volumes said to be well that were not, as far as people know.
        var recovered: Set<HandleNumber> = []
        /// What was said last and not known: in an outage many say the same, which is kept once.
        var last = VolumeState.clear
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
        guard let handle = list(report.volumeHandle) else { return }
        if report.isHealthy {
            index.update(handle) { record in
                record.isMissing = false
                if record.health == .unknown { record.health = .healthy }
            }
            // Almost every report of almost every sweep ends here.
            if isKnownAdverse(handle) { sweep.recovered.insert(handle) }
            return
        }
        index.update(handle) { $0.isMissing = false }
        var state = VolumeState(report.conditions)
        if let earlier = sweep.adverse[handle] {
            var merged = VolumeHealthReport(volumeHandle: report.volumeHandle, conditions: earlier.conditions)
            merged.merge(report)
            state = VolumeState(merged.conditions)
        }
        if state == sweep.last {
            state = sweep.last
        } else if let known = index.claims(of: handle).first.flatMap(events.current), known == state {
            state = known
        } else {
            sweep.last = state
        }
        sweep.adverse[handle] = state
        conclude(unknown: report.unknownConditions, of: handle, at: now)
        if state.isClear {
            // Not understood, so nothing that was known has passed (rule 6).
            index.update(handle) { if $0.health == .healthy { $0.health = .unknown } }
        } else if !isKnownAdverse(handle) {
            conclude(state, of: handle, at: now)
        }
        // What is known already waits for the end of the sweep: another page may have the rest of it.
    }

    /// This sweep has the volume. Returns nil when no PersistentVolume has it.
    private mutating func list(_ handle: String) -> HandleNumber? {
        guard let handle = index.number(ofVolumeHandle: handle) else { return nil }
        let number = sweep.number
        var isFirst = false
        index.update(handle) { record in
            isFirst = record.lastListed != number
            record.lastListed = number
        }
        if isFirst, !sweep.adverse.isEmpty { sweep.adverse[handle] = nil }
        if isFirst, !sweep.recovered.isEmpty { sweep.recovered.remove(handle) }
        return handle
    }

    /// The driver listed a volume and said nothing of its health.
    public mutating func receive(listedWithoutHealth handle: String, at now: Duration) {
        if let handle = list(handle) { found(handle, at: now) }
    }

    /// The sweep is over. An incomplete one clears nothing (rule 2); a complete one clears what it said is well (rule 3),
    /// and counts what is not in it as absent (rule 4).
    ///
    /// - Returns: volumes whose absence the driver is to confirm, each by a call and
    ///   ``receive(_:ofVolumeHandle:at:)``; empty unless `canConfirm`.
    public mutating func endSweep(_ end: SweepEnd, at now: Duration) -> [String] {
        let number = sweep.number
        let (adverse, recovered) = (sweep.adverse, sweep.recovered)
        sweep = Sweep(number: number)
        func isListed(_ handle: HandleNumber) -> Bool { index.record(of: handle)?.lastListed == number }
        guard case .complete(let kind, let canConfirm) = end else {
            for element in adverse.elements where !element.value.isClear && isListed(element.key) {
                conclude(atLeast: element.value, of: element.key, at: now)
            }
            return []
        }
        for element in adverse.elements where !element.value.isClear && isListed(element.key) {
            conclude(element.value, of: element.key, at: now)
        }
        for handle in recovered where isListed(handle) && !adverse.contains(handle) {
            conclude(.clear, of: handle, at: now)
        }
        switch kind {
        case .everyVolume:
            // One that no list of this process had is not absent; what an earlier process told of it can be confirmed.
            var absent = index.handles { $0.lastListed != number && $0.lastListed != 0 }
            if canConfirm {
                absent += knownAdverseHandles { $0.lastListed == 0 }
            }
            return absence(of: absent, canConfirm: canConfirm, at: now) { reconciler, handle in
                reconciler.concludeMissing(handle, at: now)
            }
        case .adverseVolumes:
            let absent = knownAdverseHandles { $0.lastListed != number }
            // A volume that is told of and left out is asked for first.
            let unknown = absent.filter { index.record(ofVolumeHandle: $0)?.health == .unknown }
            index.updateAll { if $0.lastListed != number, $0.health == .unknown { $0.health = .healthy } }
            for handle in unknown {
                index.update(handle) { $0.health = .unknown }
            }
            return absence(of: absent, canConfirm: canConfirm, at: now) { reconciler, handle in
                reconciler.conclude(.clear, ofVolumeHandle: handle, at: now)
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
    private mutating func conclude(
        atLeast state: VolumeState,
        of handle: HandleNumber,
        at now: Duration
    ) {
        guard let name = index.volumeHandle(handle) else { return }
        var all = VolumeHealthReport(volumeHandle: name, conditions: state.conditions)
        for claim in index.claims(of: handle) {
            // That it was missing has passed: it is in the list.
            let known = (events.current(claim)?.conditions ?? []).filter { $0 != .notFound(volumeHandle: name) }
            all.merge(VolumeHealthReport(volumeHandle: name, conditions: known))
        }
        conclude(VolumeState(all.conditions), of: handle, at: now)
    }

    /// The driver has the volume and says nothing of its health: that it was missing has passed, and nothing else.
    mutating func found(_ handle: HandleNumber, at now: Duration) {
        index.update(handle) { $0.isMissing = false }
        guard let name = index.volumeHandle(handle), isKnownAdverse(handle) else { return }
        let missing = VolumeState([.notFound(volumeHandle: name)]).fingerprint
        guard index.claims(of: handle).contains(where: { events.news($0) == missing }) else { return }
        conclude(.clear, of: handle, at: now)
        index.update(handle) { $0.health = .unknown }
    }

    /// Rule 5.
    mutating func concludeMissing(_ handle: String, at now: Duration) {
        guard configuration.reportsMissingVolumes else { return }
        conclude(VolumeState([.notFound(volumeHandle: handle)]), ofVolumeHandle: handle, at: now)
    }
}
