// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

package import HealthCore

/// The driver is asked for all volumes in sweeps: ``HealthState/beginSweep()``, any number of
/// ``HealthState/receive(_:at:)``, ``HealthState/endSweep(_:at:)``.
///
/// What is wrong with a volume that was well counts at once. All else counts when the list that says so is complete: a
/// later page may disagree, or have more of the same volume (rule 2).
extension HealthState {
    /// What a complete list of the driver means for a volume that is not in it.
    package enum ListKind: Sendable, Hashable {
        /// ListVolumes: it has every volume, so one that was in it before is missing.
        case everyVolume
        /// ControllerListVolumeHealth: it may leave out what is well.
        case unhealthyVolumes
    }

    /// How a sweep ended.
    package enum SweepEnd: Sendable, Hashable {
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
        var unhealthy = [HandleNumber: VolumeState]()
        /// Volumes said to be well that were not, as far as people know.
        var recovered: Set<HandleNumber> = []
        /// What was said last and not known: in an outage many say the same, which is kept once.
        var last = VolumeState.clear
        var began = Duration.zero
        /// Entries of the list, those with a handle of ours, and those that say how the volume is.
        var entries = 0
        var ours = 0
        var withHealth = 0
        /// The first `volume_id` of the list.
        var example = ""
        /// Volumes of which an entry says nothing.
        var silent: Set<HandleNumber> = []
    }

    /// The driver is about to be asked for all volumes. A sweep that was not ended is forgotten.
    package mutating func beginSweep(at now: Duration) {
        // 0 is no sweep's number.
        sweep = Sweep(number: max(1, sweep.number &+ 1), began: now)
        // What turns up from now on may be missing in the list because it did not exist when the list was made.
        index.updateAll { $0.isNew = false }
    }

    /// The driver said something of a volume. A failed call is not a report and must not be made one (rule 1).
    ///
    /// Volumes that no PersistentVolume has are ignored, and cost nothing.
    package mutating func receive(_ report: VolumeHealthReport, at now: Duration) {
        sweep.withHealth += 1
        guard let handle = list(report.volumeHandle) else { return }
        if report.isHealthy {
            // Almost every report of almost every sweep ends here.
            let isKnown = isKnownUnhealthy(handle)
            if isKnown { sweep.recovered.insert(handle) }
            let isClear = !isKnown && sweep.unhealthy[handle] == nil
            index.update(handle) { record in
                record.isMissing = false
                // Of a volume without a claim nothing was reported that would have to be taken back first.
                if record.health == .unknown || (isClear && record.health == .unhealthy) { record.health = .healthy }
            }
            return
        }
        index.update(handle) { $0.isMissing = false }
        var state = VolumeState(report.conditions)
        if let earlier = sweep.unhealthy[handle] {
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
        sweep.unhealthy[handle] = state
        setHealth(unknown: report.unknownConditions, of: handle, at: now)
        if state.isClear {
            // Not understood, so nothing that was known has passed (rule 6).
            index.update(handle) { if $0.health == .healthy { $0.health = .unknown } }
        } else if !isKnownUnhealthy(handle) {
            setHealth(state, of: handle, at: now)
        }
        // What is known already waits for the end of the sweep: another page may have the rest of it.
    }

    /// This sweep has the volume. Returns nil when no PersistentVolume has it.
    private mutating func list(_ id: String) -> HandleNumber? {
        if sweep.entries == 0 { sweep.example = id }
        sweep.entries += 1
        guard let handle = index.number(ofVolumeHandle: id) else { return nil }
        sweep.ours += 1
        if !absences.isEmpty { absences.wasFound(handle) }
        unlearnWhetherItKnowsOnlyItsNode(handle)
        let number = sweep.number
        var isFirst = false
        index.update(handle) { record in
            isFirst = record.lastListed != number
            record.lastListed = number
        }
        if isFirst, !sweep.unhealthy.isEmpty { sweep.unhealthy[handle] = nil }
        if isFirst, !sweep.recovered.isEmpty { sweep.recovered.remove(handle) }
        return handle
    }

    /// The driver listed a volume and said nothing of its health.
    package mutating func receive(listedWithoutHealth handle: String, at now: Duration) {
        guard let handle = list(handle) else { return }
        found(handle, at: now)
        if probes != nil { sweep.silent.insert(handle) }
    }

    /// The sweep is over. An incomplete one clears nothing (rule 2); a complete one clears what it said is well (rule 3),
    /// and counts what is not in it as absent (rule 4).
    ///
    /// - Returns: volumes whose absence the driver is to confirm, each by a call and
    ///   ``receive(_:ofVolumeHandle:at:)``; empty unless `canConfirm`.
    package mutating func endSweep(_ end: SweepEnd, at now: Duration) -> [String] {
        let number = sweep.number
        let ended = sweep
        let (unhealthy, recovered) = (sweep.unhealthy, sweep.recovered)
        // In the same order in every process.
        let listed = unhealthy.sorted { $0.key.position < $1.key.position }
        sweep = Sweep(number: number)
        func isListed(_ handle: HandleNumber) -> Bool { index.record(of: handle)?.lastListed == number }
        guard case .complete(let kind, let canConfirm) = end else {
            for (handle, state) in listed where !state.isClear && isListed(handle) {
                setHealth(atLeast: state, of: handle, at: now)
            }
            return []
        }
        for (handle, state) in listed where !state.isClear && isListed(handle) {
            setHealth(state, of: handle, at: now)
        }
        for handle in recovered where isListed(handle) && unhealthy[handle] == nil {
            setHealth(.clear, of: handle, at: now)
        }
        // A driver that was probed volume by volume has a list now.
        for claim in Array(responses.keys) where index.record(ofVolumeOf: claim)?.lastListed == number {
            responses.set(.answered, for: claim, at: now)
        }
        switch kind {
        case .everyVolume:
            absences.listed(isEmpty: ended.entries == 0, wasEmpty: entriesOfLastList < 2)
            if ended.entries > 0 { entriesOfLastList = ended.entries }
            listProblem = problem(of: ended)
            probeVolumes(after: ended, at: now)
            // Of volumes that have other names in the list, or that are probed one by one, it says nothing by an absence.
            if listProblem != nil, probesEveryVolume || listProblem != .noConditions { return [] }
            return missing(in: ended, canConfirm: canConfirm, at: now)
        case .unhealthyVolumes:
            let absent = knownUnhealthyHandles { $0.lastListed != number }
            if canConfirm, !absent.isEmpty {
                usedAtLastList = index.usedHandles
                for handle in absent {
                    guard let handle = index.number(ofVolumeHandle: handle), index.hasClaim(of: handle) else {
                        continue
                    }
                    missed(handle, since: ended.began, at: now, awaitsCall: true)
                }
            }
            // A volume that is reported of and left out is asked for first.
            let unknown = absent.filter { index.record(ofVolumeHandle: $0)?.health == .unknown }
            // Of a volume without a claim nothing was reported that would have to be confirmed first.
            index.updateAll { if $0.lastListed != number, $0.health != .healthy, !$0.isNew { $0.health = .healthy } }
            for handle in absent where !unknown.contains(handle) { index.update(handle) { $0.health = .unhealthy } }
            for handle in unknown {
                index.update(handle) { $0.health = .unknown }
            }
            return absence(of: absent, canConfirm: canConfirm, at: now) { healthState, handle in
                healthState.setHealth(.clear, ofVolumeHandle: handle, at: now)
            }
        }
    }

    /// What makes a complete list of every volume useless.
    private func problem(of ended: Sweep) -> ListProblem? {
        guard ended.entries > 0 else { return listProblem }
        if ended.ours == 0, let handle = index.unlistedHandle {
            return .foreignIDs(
                volumeID: bounded(ended.example, toBytes: 256),
                volumeHandle: bounded(handle, toBytes: 256)
            )
        }
        return ended.withHealth == 0 ? .noConditions : nil
    }

    /// Volumes of which a complete list says nothing are probed one by one, the list does for the others.
    private mutating func probeVolumes(after ended: Sweep, at now: Duration) {
        guard var probes else { return }
        if listProblem != nil {
            probesEveryVolume = true
            for handle in index.handles(where: { _ in true }) where index.hasClaim(ofVolumeHandle: handle) {
                probes.add(handle, at: now)
            }
        } else if ended.entries > 0 {
            probesEveryVolume = false
            let silent = Set(ended.silent.lazy.filter(index.hasClaim(of:)).compactMap(index.volumeHandle))
            probes.keep(only: silent)
            for handle in silent { probes.add(handle, at: now) }
        }
        self.probes = probes
    }

    /// Rule 4: volumes that a complete list of every volume does not have.
    ///
    /// - Returns: those whose absence a call is to confirm.
    private mutating func missing(in ended: Sweep, canConfirm: Bool, at now: Duration) -> [String] {
        let absent = index.handles { $0.lastListed != ended.number && !$0.isNew }
            .filter(index.hasClaim(ofVolumeHandle:)).sorted()
        if absent.isEmpty, absences.isEmpty, absences.suspicion == nil { return [] }
        usedAtLastList = index.usedHandles
        var candidates: [HandleNumber] = []
        for handle in absent {
            guard let number = index.number(ofVolumeHandle: handle), let record = index.record(of: number) else {
                continue
            }
            missed(
                number,
                since: ended.began,
                at: now,
                awaitsCall: canConfirm,
                needsHold: record.lastListed == 0 && !canConfirm
            )
            candidates.append(number)
        }
        absences.retain { index.record(of: $0)?.isMissing == true && index.hasClaim(of: $0) }
        absences.review(used: usedAtLastList, at: now)
        learnWhetherItKnowsOnlyItsNode()
        guard !canConfirm else {
            for handle in absent { probes?.addOnce(handle, at: now) }
            return absent
        }
        for number in candidates { reportIfMissing(number, at: now) }
        absences.review(used: usedAtLastList, at: now)
        return []
    }

    /// The driver does not have it. `since`: when it was asked.
    mutating func missed(
        _ handle: HandleNumber,
        since: Duration,
        at now: Duration,
        awaitsCall: Bool,
        needsHold: Bool = false
    ) {
        // The number may have been another's, which was missing.
        if index.record(of: handle)?.isMissing == false { absences.forget(handle) }
        index.update(handle) { $0.isMissing = true }
        guard configuration.reportsMissingVolumes else { return }
        absences.notFound(
            handle,
            since: since,
            at: now,
            awaitsCall: awaitsCall,
            // There is time to find out whether the driver knows only its node's volumes.
            needsHold: needsHold || index.isOfOtherNode(handle)
        )
    }

    /// At the end of a complete list, or when every volume was probed.
    mutating func learnWhetherItKnowsOnlyItsNode() {
        isLocalityJudged = true
        if !absences.isEmpty, !knowsOnlyItsNode { knowsOnlyItsNode = index.missesExactlyOtherNodes }
    }

    /// The driver has found a volume.
    mutating func unlearnWhetherItKnowsOnlyItsNode(_ handle: HandleNumber) {
        if knowsOnlyItsNode, index.isOfOtherNode(handle) { knowsOnlyItsNode = false }
    }

    /// Reports a volume that was missed just now, where it can be believed.
    mutating func reportIfMissing(_ handle: HandleNumber, at now: Duration) {
        if knowsOnlyItsNode || !isLocalityJudged, index.isOfOtherNode(handle) { return }
        let settling = probesEveryVolume ? probes?.keptInterval ?? .zero : .zero
        if absences.shouldReport(handle, used: usedVolumes, settling: settling, at: now) || absences.isReported(handle)
        {
            if let handle = index.volumeHandle(handle) { setMissing(handle, at: now) }
        }
    }

    /// How many volumes there are that could be missing.
    var usedVolumes: Int { probesEveryVolume ? probes?.count ?? 0 : usedAtLastList }

    /// Rule 4 for lists of what is wrong: one confirming call where the driver has it, otherwise two complete lists in a row.
    private mutating func absence(
        of handles: some Collection<String>,
        canConfirm: Bool,
        at now: Duration,
        setHealth: (inout HealthState, String) -> Void
    ) -> [String] {
        let used = handles.filter(index.hasClaim(ofVolumeHandle:)).sorted()
        for handle in used {
            if !canConfirm, index.record(ofVolumeHandle: handle)?.isMissing == true { setHealth(&self, handle) }
            index.update(handle) { $0.isMissing = true }
            if canConfirm { probes?.addOnce(handle, at: now) }
        }
        return canConfirm ? used : []
    }

    /// What a list that is not complete found wrong, and what is known besides.
    private mutating func setHealth(
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
        setHealth(VolumeState(all.conditions), of: handle, at: now)
    }

    /// The driver has the volume and says nothing of its health: that it was missing has passed, and nothing else.
    mutating func found(_ handle: HandleNumber, at now: Duration) {
        index.update(handle) { $0.isMissing = false }
        absences.wasFound(handle)
        unlearnWhetherItKnowsOnlyItsNode(handle)
        guard let name = index.volumeHandle(handle), isKnownUnhealthy(handle) else { return }
        let missing = VolumeState([.notFound(volumeHandle: name)]).fingerprint
        guard index.claims(of: handle).contains(where: { events.fingerprint($0) == missing }) else { return }
        setHealth(.clear, of: handle, at: now)
        index.update(handle) { $0.health = .unknown }
    }

    /// Rule 5.
    mutating func setMissing(_ handle: String, at now: Duration) {
        guard configuration.reportsMissingVolumes else { return }
        setHealth(VolumeState([.notFound(volumeHandle: handle)]), ofVolumeHandle: handle, at: now)
    }
}
