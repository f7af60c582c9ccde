// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

package import HealthCore

/// Sweeps, in which the driver lists all volumes: ``HealthState/beginSweep(at:)``, then ``HealthState/receive(_:at:)``
/// or ``HealthState/receive(listedWithoutHealth:at:)`` for each entry, then ``HealthState/endSweep(_:at:)``.
///
/// What an entry of the list means. A later page may disagree or hold more conditions of the same volume, so only a
/// condition of a volume that was not reported before counts at once (rules 2 and 3):
///
/// | Entry | Reported as unhealthy before | At once | End, list incomplete | End, list complete |
/// |---|---|---|---|---|
/// | conditions | no | these are reported | conditions of all entries | conditions of all entries |
/// | conditions | yes | - | those known and these | conditions of all entries |
/// | only unknown types | any | an event for each; not healthy (rule 6) | - | - |
/// | healthy | no | healthy | - | - |
/// | healthy | yes | - | - | recovered, unless another entry has a condition |
/// | without health | as missing | recovered, health unknown | - | probed alone, where possible |
/// | without health | otherwise | - | - | probed alone, where possible |
///
/// What it means that a volume is not in the list (rules 4 and 5). It means nothing when the list is incomplete, or
/// when the volume was added after the sweep began:
///
/// | Complete list | A call can confirm | Volume | Result |
/// |---|---|---|---|
/// | ``ListKind/everyVolume`` | yes | in use | probed; NOT_FOUND: ``AbsenceGuard`` decides |
/// | ``ListKind/everyVolume`` | no | in use | ``AbsenceGuard`` decides, from the second list in a row on |
/// | ``ListKind/unhealthyVolumes`` | yes | reported as unhealthy | probed; the response decides |
/// | ``ListKind/unhealthyVolumes`` | no | reported as unhealthy | recovered, after the second list in a row |
/// | ``ListKind/unhealthyVolumes`` | any | not reported as unhealthy | healthy |
/// | with a ``ListProblem`` | yes | in use | probed alone, in every interval |
/// | ``ListProblem/noConditions`` | no | in use | as ``ListKind/everyVolume`` |
/// | ``ListProblem/foreignIDs(volumeID:volumeHandle:)`` | no | in use | - |
extension HealthState {
    /// Which volumes a complete list contains.
    package enum ListKind: Sendable, Hashable {
        /// ListVolumes: every volume.
        case everyVolume
        /// ControllerListVolumeHealth: it may leave out healthy volumes.
        case unhealthyVolumes
    }

    /// How a sweep ended.
    package enum SweepEnd: Sendable, Hashable {
        /// A call failed: the absence of a volume from the list means nothing (rule 2).
        case incomplete
        /// The list is complete. `canConfirm`: the driver has a call for a single volume.
        case complete(ListKind, canConfirm: Bool)
    }

    /// What the driver reported since the sweep began. An entry counts only if the sweep has listed its handle:
    /// otherwise its number belonged to another handle before.
    struct Sweep: Sendable {
        var number: UInt32 = 0
        /// The states of volumes with a condition; clear where all conditions are of unknown types.
        var unhealthy = [HandleNumber: VolumeState]()
        /// Volumes that are listed as healthy and were reported as unhealthy.
        var recovered: Set<HandleNumber> = []
        /// The last state that was not known before: in an outage many volumes share it.
        var last = VolumeState.clear
        var began = Duration.zero
        /// How many entries the list has.
        var entries = 0
        /// How many of them have the handle of a PersistentVolume.
        var matched = 0
        /// How many of them report health.
        var withHealth = 0
        /// The first `volume_id` of the list.
        var firstID = ""
        /// Volumes whose entry reports no health.
        var withoutHealth: Set<HandleNumber> = []
    }

    /// A sweep begins. One that was not ended is forgotten.
    package mutating func beginSweep(at now: Duration) {
        // 0 stands for no sweep.
        sweep = Sweep(number: max(1, sweep.number &+ 1), began: now)
        // A volume that is added from now on may be absent from the list because it did not exist when the list was
        // made.
        index.updateAll { $0.isNew = false }
    }

    /// The driver reported the health of a volume. A failed call is not a report (rule 1).
    ///
    /// A volume without a PersistentVolume is ignored and costs no memory.
    package mutating func receive(_ report: VolumeHealthReport, at now: Duration) {
        sweep.withHealth += 1
        guard let handle = markListed(report.volumeHandle) else { return }
        if report.isHealthy {
            // Almost every report of almost every sweep ends here.
            let isKnown = isKnownUnhealthy(handle)
            if isKnown { sweep.recovered.insert(handle) }
            let isClear = !isKnown && sweep.unhealthy[handle] == nil
            index.update(handle) { record in
                record.isMissing = false
                // A volume without a claim has no reports that a recovery would end, so it is healthy at once.
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
            // Only conditions of unknown types: they end no known condition (rule 6).
            index.update(handle) { if $0.health == .healthy { $0.health = .unknown } }
        } else if !isKnownUnhealthy(handle) {
            setHealth(state, of: handle, at: now)
        }
        // A volume that was reported before waits for the end of the sweep: another page may hold more conditions.
    }

    /// Marks a volume as listed by this sweep. Returns nil when no PersistentVolume has the handle.
    private mutating func markListed(_ id: String) -> HandleNumber? {
        if sweep.entries == 0 { sweep.firstID = id }
        sweep.entries += 1
        guard let handle = index.number(ofVolumeHandle: id) else { return nil }
        sweep.matched += 1
        if !absences.isEmpty { absences.wasFound(handle) }
        refuteLocality(byFinding: handle)
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

    /// The driver listed a volume without its health.
    package mutating func receive(listedWithoutHealth handle: String, at now: Duration) {
        guard let handle = markListed(handle) else { return }
        foundWithoutHealth(handle, at: now)
        if probes != nil { sweep.withoutHealth.insert(handle) }
    }

    /// The sweep has ended. See the tables above.
    ///
    /// - Returns: the volumes whose absence a call is to confirm, followed by ``receive(_:ofVolumeHandle:at:)``; empty
    ///   unless `canConfirm`.
    package mutating func endSweep(_ end: SweepEnd, at now: Duration) -> [String] {
        let number = sweep.number
        let ended = sweep
        let (unhealthy, recovered) = (sweep.unhealthy, sweep.recovered)
        // Sorted, so that the order is the same in every process.
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
        // The list has these volumes, so the driver responds for them, even if calls for single volumes failed.
        for claim in Array(responses.keys) where index.record(ofVolumeOf: claim)?.lastListed == number {
            responses.set(.answered, for: claim, at: now)
        }
        switch kind {
        case .everyVolume:
            absences.listed(isEmpty: ended.entries == 0, wasEmpty: entriesOfLastList < 2)
            if ended.entries > 0 { entriesOfLastList = ended.entries }
            listProblem = problem(of: ended)
            probeVolumes(after: ended, at: now)
            // Absence means nothing in a list with foreign ids, or where every volume is probed one by one.
            if listProblem != nil, probesEveryVolume || listProblem != .noConditions { return [] }
            return reviewAbsent(from: ended, canConfirm: canConfirm, at: now)
        case .unhealthyVolumes:
            let absent = knownUnhealthyHandles { $0.lastListed != number }
            if canConfirm, !absent.isEmpty {
                usedAtLastList = index.usedHandles
                for handle in absent {
                    guard let handle = index.number(ofVolumeHandle: handle), index.hasClaim(of: handle) else {
                        continue
                    }
                    markMissing(handle, since: ended.began, at: now, awaitsCall: true)
                }
            }
            // Reported as unhealthy, but not by the driver in this term: their health stays unknown.
            let unknown = absent.filter { index.record(ofVolumeHandle: $0)?.health == .unknown }
            // All others are healthy: a volume without a claim has no reports that a recovery would end.
            index.updateAll { if $0.lastListed != number, $0.health != .healthy, !$0.isNew { $0.health = .healthy } }
            for handle in absent where !unknown.contains(handle) { index.update(handle) { $0.health = .unhealthy } }
            for handle in unknown {
                index.update(handle) { $0.health = .unknown }
            }
            return reviewUnhealthy(absent, canConfirm: canConfirm, at: now)
        }
    }

    /// Why a complete list of every volume cannot be used; an empty list keeps the last reason.
    private func problem(of ended: Sweep) -> ListProblem? {
        guard ended.entries > 0 else { return listProblem }
        if ended.matched == 0, let handle = index.unlistedHandle {
            return .foreignIDs(
                volumeID: bounded(ended.firstID, toBytes: 256),
                volumeHandle: bounded(handle, toBytes: 256)
            )
        }
        return ended.withHealth == 0 ? .noConditions : nil
    }

    /// Schedules single probes of the volumes for which a complete list has no health.
    private mutating func probeVolumes(after ended: Sweep, at now: Duration) {
        guard var probes else { return }
        if listProblem != nil {
            probesEveryVolume = true
            for handle in index.handles(where: { _ in true }) where index.hasClaim(ofVolumeHandle: handle) {
                probes.add(handle, at: now)
            }
        } else if ended.entries > 0 {
            probesEveryVolume = false
            let withoutHealth = Set(ended.withoutHealth.lazy.filter(index.hasClaim(of:)).compactMap(index.volumeHandle))
            probes.keep(only: withoutHealth)
            for handle in withoutHealth { probes.add(handle, at: now) }
        }
        self.probes = probes
    }

    /// Rule 4: volumes in use that are absent from a complete list of every volume.
    ///
    /// - Returns: the volumes whose absence a call is to confirm.
    private mutating func reviewAbsent(from ended: Sweep, canConfirm: Bool, at now: Duration) -> [String] {
        let absent = index.handles { $0.lastListed != ended.number && !$0.isNew }
            .filter(index.hasClaim(ofVolumeHandle:)).sorted()
        if absent.isEmpty, absences.isEmpty, absences.suspicion == nil { return [] }
        usedAtLastList = index.usedHandles
        var candidates: [HandleNumber] = []
        for handle in absent {
            guard let number = index.number(ofVolumeHandle: handle), let record = index.record(of: number) else {
                continue
            }
            markMissing(
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
        judgeLocality()
        guard !canConfirm else {
            for handle in absent { probes?.addOnce(handle, at: now) }
            return absent
        }
        for number in candidates { reportIfMissing(number, at: now) }
        absences.review(used: usedAtLastList, at: now)
        return []
    }

    /// The driver does not find a volume.
    ///
    /// - Parameter since: when the call or the list began.
    mutating func markMissing(
        _ handle: HandleNumber,
        since: Duration,
        at now: Duration,
        awaitsCall: Bool,
        needsHold: Bool = false
    ) {
        // The number may have belonged to another handle, which was missing.
        if index.record(of: handle)?.isMissing == false { absences.forget(handle) }
        index.update(handle) { $0.isMissing = true }
        guard configuration.reportsMissingVolumes else { return }
        absences.notFound(
            handle,
            since: since,
            at: now,
            awaitsCall: awaitsCall,
            // The hold leaves time to find out whether the driver knows only its own node's volumes.
            needsHold: needsHold || index.isOfOtherNode(handle)
        )
    }

    /// Decides whether the driver knows only its own node's volumes. Called at the end of a complete list, or when
    /// every volume was probed.
    mutating func judgeLocality() {
        isLocalityJudged = true
        if !absences.isEmpty, !knowsOnlyItsNode { knowsOnlyItsNode = index.missesExactlyOtherNodes }
    }

    /// The driver found a volume: if it belongs to another node, the driver knows more than its own node's.
    mutating func refuteLocality(byFinding handle: HandleNumber) {
        if knowsOnlyItsNode, index.isOfOtherNode(handle) { knowsOnlyItsNode = false }
    }

    /// Reports a volume that was just not found, if its absence can be believed (rule 5).
    mutating func reportIfMissing(_ handle: HandleNumber, at now: Duration) {
        if knowsOnlyItsNode || !isLocalityJudged, index.isOfOtherNode(handle) { return }
        let settling = probesEveryVolume ? probes?.effectiveInterval ?? .zero : .zero
        if absences.shouldReport(handle, used: usedVolumes, settling: settling, at: now) || absences.isReported(handle)
        {
            if let handle = index.volumeHandle(handle) { reportMissing(handle, at: now) }
        }
    }

    /// How many volumes are looked for.
    var usedVolumes: Int { probesEveryVolume ? probes?.count ?? 0 : usedAtLastList }

    /// Rule 4: volumes that were reported as unhealthy and are absent from a complete list of unhealthy volumes. They
    /// have recovered if a call confirms it or, without such a call, when two complete lists in a row leave them out.
    ///
    /// - Returns: the volumes whose recovery a call is to confirm.
    private mutating func reviewUnhealthy(
        _ handles: some Collection<String>,
        canConfirm: Bool,
        at now: Duration
    ) -> [String] {
        let used = handles.filter(index.hasClaim(ofVolumeHandle:)).sorted()
        for handle in used {
            if !canConfirm, index.record(ofVolumeHandle: handle)?.isMissing == true {
                setHealth(.clear, ofVolumeHandle: handle, at: now)
            }
            index.update(handle) { $0.isMissing = true }
            if canConfirm { probes?.addOnce(handle, at: now) }
        }
        return canConfirm ? used : []
    }

    /// Adds the conditions that an incomplete list has to the known ones.
    private mutating func setHealth(
        atLeast state: VolumeState,
        of handle: HandleNumber,
        at now: Duration
    ) {
        guard let name = index.volumeHandle(handle) else { return }
        var all = VolumeHealthReport(volumeHandle: name, conditions: state.conditions)
        for claim in index.claims(of: handle) {
            // It is not missing any more, since the list has it.
            let known = (events.current(claim)?.conditions ?? []).filter { $0 != .notFound(volumeHandle: name) }
            all.merge(VolumeHealthReport(volumeHandle: name, conditions: known))
        }
        setHealth(VolumeState(all.conditions), of: handle, at: now)
    }

    /// The driver has the volume and reports no health: it is not missing any more, and nothing else changes.
    mutating func foundWithoutHealth(_ handle: HandleNumber, at now: Duration) {
        index.update(handle) { $0.isMissing = false }
        absences.wasFound(handle)
        refuteLocality(byFinding: handle)
        guard let name = index.volumeHandle(handle), isKnownUnhealthy(handle) else { return }
        let missing = VolumeState([.notFound(volumeHandle: name)]).fingerprint
        guard index.claims(of: handle).contains(where: { events.fingerprint($0) == missing }) else { return }
        setHealth(.clear, of: handle, at: now)
        index.update(handle) { $0.health = .unknown }
    }

    private mutating func reportMissing(_ handle: String, at now: Duration) {
        guard configuration.reportsMissingVolumes else { return }
        setHealth(VolumeState([.notFound(volumeHandle: handle)]), ofVolumeHandle: handle, at: now)
    }
}
