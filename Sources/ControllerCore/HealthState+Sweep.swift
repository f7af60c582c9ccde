// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

package import HealthCore

/// Sweeps, in which the driver lists all volumes: ``HealthState/beginSweep(at:)``, then ``HealthState/receive(_:at:)``
/// or ``HealthState/receive(listedWithoutHealth:at:)`` for each entry, then ``HealthState/endSweep(_:at:)``.
///
/// What an entry of the list means. A later page may contradict it or hold more conditions of the same volume, so
/// conditions that were reported before are replaced or ended only at the end of the sweep (rules 2 and 3):
///
/// | Entry | Reported as unhealthy before | At once | End, list incomplete | End, list complete |
/// |---|---|---|---|---|
/// | conditions | no | its conditions are reported | conditions of all entries | conditions of all entries |
/// | conditions | yes | - | known conditions and those of all entries | conditions of all entries |
/// | only unknown types | as missing | an event for each; recovered, health unknown | - | - |
/// | only unknown types | otherwise | an event for each; not healthy (rule 6) | - | - |
/// | healthy | no | healthy | - | - |
/// | healthy | yes | - | - | recovered, unless another entry has a condition |
/// | without health | as missing | recovered, health unknown | - | probed, if the driver has a call for it |
/// | without health | otherwise | - | - | probed, if the driver has a call for it |
///
/// What the absence of a volume from the list means (rules 4 and 5): nothing when the list is incomplete, or when the
/// volume was added after the sweep began; otherwise:
///
/// | Complete list | A call can confirm | Volume | Result |
/// |---|---|---|---|
/// | ``ListKind/everyVolume`` | yes | in use | probed; NOT_FOUND: ``AbsenceGuard`` decides |
/// | ``ListKind/everyVolume`` | no | in use | after the second list in a row, ``AbsenceGuard`` decides |
/// | ``ListKind/unhealthyVolumes`` | yes | reported as unhealthy | probed; the response decides |
/// | ``ListKind/unhealthyVolumes`` | no | reported as unhealthy | recovered, after the second list in a row |
/// | ``ListKind/unhealthyVolumes`` | any | not reported as unhealthy | healthy |
/// | with a ``ListProblem`` | yes | in use | probed once in every interval |
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
        /// A call failed, so the absence of a volume from the list means nothing (rule 2).
        case incomplete
        /// The list is complete. `canConfirm`: the driver has a call for a single volume.
        case complete(ListKind, canConfirm: Bool)
    }

    /// What the driver has listed since the sweep began.
    ///
    /// Numbers of handles are reused while a sweep runs. So ``unhealthy`` and ``recovered`` hold only for a handle
    /// whose record was listed by this sweep (`lastListed`); an entry of another one is left from the number's last
    /// handle.
    struct Sweep: Sendable {
        /// The number of the sweep, for `lastListed`; 0: no sweep has begun.
        var number: UInt32 = 0
        /// The states of the volumes with a condition, all pages together; clear if all types are unknown.
        var unhealthy = [HandleNumber: VolumeState]()
        /// Volumes that are listed as healthy and were reported as unhealthy before.
        var recovered: Set<HandleNumber> = []
        /// The latest new state. In an outage many volumes have the same one, which is then stored once.
        var last = VolumeState.clear
        var began = Duration.zero
        /// How many entries the driver has listed.
        var entries = 0
        /// How many entries have the handle of a PersistentVolume.
        var matched = 0
        /// How many entries report health, with or without a PersistentVolume.
        var withHealth = 0
        /// The first `volume_id` of the list.
        var firstID = ""
        /// Volumes whose entry reports no health.
        var withoutHealth: Set<HandleNumber> = []
    }

    /// Begins a sweep. A sweep that was not ended is discarded.
    package mutating func beginSweep(at now: Duration) {
        // The number wraps around; 0 is reserved for "never listed".
        sweep = Sweep(number: max(1, sweep.number &+ 1), began: now)
        // A volume that is added from now on may be absent because the driver compiled the list before it existed.
        index.updateAll { $0.isNew = false }
        beginOutageWindow()
    }

    /// The driver listed a volume with its health. To be called between ``beginSweep(at:)`` and ``endSweep(_:at:)``;
    /// the result of a call for one volume goes to ``receive(_:ofVolumeHandle:at:)``.
    ///
    /// A volume without a PersistentVolume is only counted, and uses no memory.
    package mutating func receive(_ report: VolumeHealthReport, at now: Duration) {
        sweep.withHealth += 1
        guard let handle = markListed(report.volumeHandle) else { return }
        if report.isHealthy {
            // The hot path: in most sweeps almost every volume is healthy.
            let isKnown = isKnownUnhealthy(handle)
            if isKnown { sweep.recovered.insert(handle) }
            let isClear = !isKnown && sweep.unhealthy[handle] == nil
            index.update(handle) { record in
                record.isMissing = false
                // Nothing is reported on a volume that no claim uses, so its health changes at once.
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
            // Only conditions of unknown types: known conditions stay as they are (rule 6).
            index.update(handle) { if $0.health == .healthy { $0.health = .unknown } }
            endMissing(handle, at: now)
        } else if !isKnownUnhealthy(handle) {
            setHealth(state, of: handle, observed: sweep.began, at: now)
        }
        // A volume that was reported before is decided at the end of the sweep: a later page may hold more conditions.
    }

    /// Counts an entry, and marks its volume as listed by this sweep. Returns nil when no PersistentVolume has the
    /// handle.
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
        // While such a list is not used, calls show whether the volume exists.
        if !probesEveryVolume { foundWithoutHealth(handle, at: now) }
        if probes != nil { sweep.withoutHealth.insert(handle) }
    }

    /// Ends the sweep, and queues the reports that follow from it: see the tables above.
    ///
    /// - Returns: the handles of the volumes whose absence a call must confirm. ``nextProbe(at:)`` returns them too,
    ///   while volumes are probed; the caller passes each result to ``receive(_:ofVolumeHandle:at:)``. Empty unless
    ///   `canConfirm`.
    package mutating func endSweep(_ end: SweepEnd, at now: Duration) -> [String] {
        defer { reviewOutage(after: end, at: now) }
        let number = sweep.number
        let ended = sweep
        let (unhealthy, recovered) = (sweep.unhealthy, sweep.recovered)
        // Sorted, so that the order is the same in every process.
        let listed = unhealthy.sorted { $0.key.position < $1.key.position }
        sweep = Sweep(number: number)
        func isListed(_ handle: HandleNumber) -> Bool { index.record(of: handle)?.lastListed == number }
        guard case .complete(let kind, let canConfirm) = end else {
            for (handle, state) in listed where !state.isClear && isListed(handle) {
                setHealth(atLeast: state, of: handle, observed: ended.began, at: now)
            }
            return []
        }
        for (handle, state) in listed where !state.isClear && isListed(handle) {
            setHealth(state, of: handle, observed: ended.began, at: now)
        }
        for handle in recovered where isListed(handle) && unhealthy[handle] == nil {
            setHealth(.clear, of: handle, observed: ended.began, at: now)
        }
        // The driver has responded for each listed volume, even if calls for that volume alone fail; and for each volume
        // that a list of unhealthy volumes leaves out. Not with a list that cannot be used.
        let newProblem = kind == .everyVolume ? problem(of: ended) : nil
        for claim in newProblem == nil ? Array(responses.keys) : [] {
            guard let record = index.record(ofVolumeOf: claim) else { continue }
            if record.lastListed == number || kind == .unhealthyVolumes && !record.isNew {
                responses.set(.responsive, for: claim, at: now)
            }
        }
        compareCalls(with: unhealthy)
        volumesInUse = index.usedHandles
        switch kind {
        case .everyVolume:
            absences.listed(isEmpty: ended.entries == 0, wasEmpty: entriesOfLastList < 2)
            if ended.entries > 0 { entriesOfLastList = ended.entries }
            listProblem = newProblem
            probeVolumes(after: ended, at: now)
            // Absence means nothing in a list with foreign ids, or while every volume is probed one by one.
            if listProblem != nil, probesEveryVolume || listProblem != .noConditions { return [] }
            return reviewAbsent(from: ended, canConfirm: canConfirm, at: now)
        case .unhealthyVolumes:
            let absent = knownUnhealthyHandles { $0.lastListed != number && !$0.isNew }
            if canConfirm {
                for handle in absent {
                    guard let handle = index.number(ofVolumeHandle: handle), index.hasClaim(of: handle) else {
                        continue
                    }
                    markMissing(handle, since: ended.began, at: now, awaitsCall: true)
                }
                absences.retain { index.record(of: $0)?.isMissing == true && index.hasClaim(of: $0) }
                absences.review(used: volumesInUse, at: now)
                reviewLocality()
            }
            // What was reported as unhealthy stays as it was until its absence is confirmed: unhealthy; unknown, where no
            // response of this term said so; healthy, where its recovery waits to be reported.
            let before = absent.compactMap { handle in
                index.record(ofVolumeHandle: handle).map { (handle: handle, health: $0.health) }
            }
            // The list has every unhealthy volume, so all others but new ones are healthy.
            index.updateAll { if $0.lastListed != number, $0.health != .healthy, !$0.isNew { $0.health = .healthy } }
            for (handle, health) in before { index.update(handle) { $0.health = health } }
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

    /// Schedules probes of the volumes for which a complete list has no health: of every volume in use while the list
    /// has a ``ListProblem``.
    private mutating func probeVolumes(after ended: Sweep, at now: Duration) {
        guard var probes else { return }
        if listProblem != nil {
            if !probesEveryVolume { probes.beginRound(at: now) }
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
    /// - Returns: the volumes whose absence a call must confirm; empty unless `canConfirm`.
    private mutating func reviewAbsent(from ended: Sweep, canConfirm: Bool, at now: Duration) -> [String] {
        let absent = index.handles { $0.lastListed != ended.number && !$0.isNew }
            .filter(index.hasClaim(ofVolumeHandle:)).sorted()
        if absent.isEmpty, absences.isEmpty, absences.suspicion == nil { return [] }
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
        absences.review(used: volumesInUse, at: now)
        reviewLocality()
        guard !canConfirm else {
            for handle in absent { probes?.addOnce(handle, at: now) }
            return absent
        }
        for number in candidates { reportIfMissing(number, at: now) }
        absences.review(used: volumesInUse, at: now)
        return []
    }

    /// Marks a volume as not found by the driver, and passes it to ``AbsenceGuard`` if missing volumes are reported.
    ///
    /// - Parameters:
    ///   - since: when the call or the list began.
    ///   - awaitsCall: only a call for the volume confirms that it is missing.
    ///   - needsHold: the volume is not reported before ``AbsenceLimits/hold`` has passed, however few are missing.
    mutating func markMissing(
        _ handle: HandleNumber,
        since: Duration,
        at now: Duration,
        awaitsCall: Bool,
        needsHold: Bool = false
    ) {
        // If the number was reused, forgets the absence of its last handle.
        if index.record(of: handle)?.isMissing == false { absences.forget(handle) }
        index.update(handle) { $0.isMissing = true }
        guard configuration.reportsMissingVolumes else { return }
        absences.notFound(
            handle,
            since: since,
            at: now,
            awaitsCall: awaitsCall,
            // The hold leaves time to find out whether the driver knows only its own node's volumes:
            // ``reviewLocality()``.
            needsHold: needsHold || !isLocalityRefuted && index.isOfOtherNode(handle)
        )
    }

    /// Decides whether the driver knows only its own node's volumes. Called when all volumes have been listed or
    /// probed: after a complete list, or after a round of probes.
    mutating func reviewLocality() {
        isLocalityKnown = true
        if !absences.isEmpty, !knowsOnlyItsNode, !isLocalityRefuted {
            knowsOnlyItsNode = index.missesExactlyOtherNodes
        }
    }

    /// The driver found a volume. If that volume belongs to another node, the driver knows more than its own node's
    /// volumes.
    mutating func refuteLocality(byFinding handle: HandleNumber) {
        guard !isLocalityRefuted, index.volumesOfOtherNodes > 0, index.isOfOtherNode(handle) else { return }
        (knowsOnlyItsNode, isLocalityKnown, isLocalityRefuted) = (false, true, true)
    }

    /// Reports a volume that the driver has just failed to find, if ``AbsenceGuard`` allows it (rule 5).
    mutating func reportIfMissing(_ handle: HandleNumber, at now: Duration) {
        if knowsOnlyItsNode || !isLocalityKnown, index.isOfOtherNode(handle) { return }
        let settling = probesEveryVolume ? probes?.effectiveInterval ?? .zero : .zero
        if absences.shouldReport(handle, used: usedVolumes, settling: settling, at: now) || absences.isReported(handle)
        {
            if let handle = index.volumeHandle(handle) { reportMissing(handle, at: now) }
        }
    }

    /// How many volumes the driver is expected to find: those that are probed, or those in use at the last count. The
    /// base of ``AbsenceLimits/percent`` and of ``OutageLimits/percent``.
    var usedVolumes: Int { probesEveryVolume ? probes?.count ?? 0 : volumesInUse }

    /// Rule 4: volumes that were reported as unhealthy and are absent from a complete list of unhealthy volumes. They
    /// have recovered if a call confirms it or, without such a call, if they are absent from two complete lists in a
    /// row.
    ///
    /// - Returns: the volumes whose recovery a call must confirm; empty unless `canConfirm`.
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

    /// Adds the conditions in an incomplete list to the known ones: other pages may have held the known ones.
    private mutating func setHealth(
        atLeast state: VolumeState,
        of handle: HandleNumber,
        observed: Duration,
        at now: Duration
    ) {
        guard let name = index.volumeHandle(handle) else { return }
        var all = VolumeHealthReport(volumeHandle: name, conditions: state.conditions)
        for claim in index.claims(of: handle) {
            let before = driverState(on: claim) ?? unhealthyState(of: claim)
            // The list has the volume, so it is no longer missing.
            let known = (before?.conditions ?? []).filter { $0 != .notFound(volumeHandle: name) }
            all.merge(VolumeHealthReport(volumeHandle: name, conditions: known))
        }
        setHealth(VolumeState(all.conditions), of: handle, observed: observed, at: now)
    }

    /// The driver has the volume but reports no health for it: the volume is no longer missing, and a report that it
    /// was missing is ended. Other reports stay.
    mutating func foundWithoutHealth(_ handle: HandleNumber, at now: Duration) {
        index.update(handle) { $0.isMissing = false }
        absences.wasFound(handle)
        refuteLocality(byFinding: handle)
        endMissing(handle, at: now)
    }

    /// Ends a report that the volume is missing: the driver has it, and shows nothing that is health.
    mutating func endMissing(_ handle: HandleNumber, at now: Duration) {
        guard let name = index.volumeHandle(handle), isKnownUnhealthy(handle) else { return }
        let missing = VolumeState([.notFound(volumeHandle: name)]).fingerprint
        guard index.claims(of: handle).contains(where: { isReportedOrHeldBack(missing, on: $0) }) else { return }
        setHealth(.clear, of: handle, at: now)
        index.update(handle) { $0.health = .unknown }
    }

    private mutating func reportMissing(_ handle: String, at now: Duration) {
        guard configuration.reportsMissingVolumes else { return }
        let state = VolumeState([.notFound(volumeHandle: handle)])
        setHealth(state, ofVolumeHandle: handle, isConfirmed: true, at: now)
    }
}
