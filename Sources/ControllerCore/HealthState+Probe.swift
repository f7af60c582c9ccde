// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

package import HealthCore

/// The result of a call for one volume.
package enum ProbeResult: Sendable, Hashable {
    /// The driver reported the health of the volume.
    case report(VolumeHealthReport)
    /// NOT_FOUND.
    case notFound
    /// The driver has the volume and reported no health.
    case withoutHealth
    /// The call failed.
    case failed
    /// The driver could not be reached.
    case interrupted
}

extension HealthState {
    /// Which volumes are probed one by one.
    package enum ProbeScope: Sendable, Hashable {
        /// All volumes that claims use, later ones included.
        case everyVolume
        /// Volumes without health in the lists, and volumes whose absence from a list must be confirmed.
        case whatListsLeaveOpen
    }

    /// Begins to probe volumes one by one: from now on ``nextProbe(at:)`` returns them.
    ///
    /// - Parameters:
    ///   - minimumGap: the minimum time from one call to the next.
    ///   - rechecks: how often unhealthy volumes are probed; nil: as often as the others.
    package mutating func beginProbing(
        _ scope: ProbeScope = .everyVolume,
        interval: Duration,
        minimumGap: Duration = .zero,
        rechecks: RecheckTiming? = nil,
        at now: Duration,
        using random: inout some RandomNumberGenerator
    ) {
        probesEveryVolume = scope == .everyVolume
        self.rechecks = rechecks.map { RecheckSchedule($0) }
        let used = probesEveryVolume ? index.handles { _ in true }.filter(index.hasClaim(ofVolumeHandle:)) : []
        probes = ProbeSchedule(
            interval: interval,
            minimumGap: minimumGap,
            used.shuffled(using: &random),
            at: now,
            using: &random
        )
    }

    /// The probe strategy changes: what was listed or missing before does not count for the new one. Probes of single
    /// volumes end until ``beginProbing(_:interval:minimumGap:rechecks:at:using:)``.
    ///
    /// - Parameter writesStatus: whether conditions are written to `status.healthStatus` of claims; if not, the field
    ///   is cleared as volumes are probed.
    package mutating func beginStrategy(writesStatus: Bool) {
        self.writesStatus = writesStatus
        (probes, rechecks) = (nil, nil)
        callRecoveries = CallRecoveries()
        probesEveryVolume = false
        listProblem = nil
        (knowsOnlyItsNode, isLocalityKnown, isLocalityRefuted) = (false, false, false)
        entriesOfLastList = 0
        absences = AbsenceGuard(limits: configuration.absenceLimits)
        index.forgetListings()
    }

    /// The interval that has just ended, if every volume was probed in it; returned once. nil otherwise, also when
    /// calls did not end in time.
    package mutating func completedRound(at now: Duration) -> ProbeRound? {
        endUnusedProbes(at: now)
        reviewResponses(at: now)
        guard probesEveryVolume, let round = probes?.completedRound(at: now) else {
            reviewLastingOutage(at: now)
            return nil
        }
        // Before the first round, what an earlier leader reported is not refuted.
        reviewOutage(isSweepComplete: round.responses > 0 || round.volumes == 0, at: now)
        if !absences.isEmpty || absences.suspicion != nil {
            absences.retain { index.record(of: $0)?.isMissing == true && index.hasClaim(of: $0) }
            reviewAbsences(at: now)
            // Each volume that was missing was so for two calls.
            if round.isConfirmed { reviewLocality() }
        }
        return round
    }

    /// Where volumes are probed one by one: the volumes whose last response is older than this number of intervals,
    /// each with the age of that response; those that were not called are left out. Without any response the age counts
    /// from the first slot.
    package func unresponsiveVolumes(
        forIntervals count: Int,
        at now: Duration
    ) -> [(volumeHandle: String, age: Duration)] {
        guard probesEveryVolume, let probes else { return [] }
        return probes.unresponsive(for: probes.effectiveInterval * count, at: now).map { ($0.key, $0.age) }
    }

    /// The claims of these volumes, each with the age.
    package func claims(
        ofUnresponsive volumes: [(volumeHandle: String, age: Duration)]
    ) -> [(claim: Claim, age: Duration)] {
        volumes.flatMap { volume in
            index.number(ofVolumeHandle: volume.volumeHandle).map { handle in
                index.claims(of: handle).compactMap { index.claim($0) }.map { (claim: $0, age: volume.age) }
            } ?? []
        }
    }

    /// The known health of this volume; nil when no PersistentVolume has the handle.
    package func health(ofVolumeHandle handle: String) -> KnownHealth? {
        index.record(ofVolumeHandle: handle)?.health
    }

    /// The time from one probe of a volume to its next that is achieved: longer than the configured interval when the
    /// driver is too slow or the rate of calls is limited. nil while volumes are not probed one by one.
    package var effectiveProbeInterval: Duration? { probesEveryVolume ? probes?.effectiveInterval : nil }

    /// How many volumes are probed one by one.
    package var probedVolumes: Int { probes?.count ?? 0 }

    /// The handle of the next volume to probe. Call the driver, then ``receive(_:ofVolumeHandle:at:)`` in any case.
    /// Volumes without a claim are skipped until they have one.
    package mutating func nextProbe(at now: Duration) -> NextStep<String> {
        while true {
            guard var step = probes?.next(at: now) else { return .wait(until: nil) }
            switch step {
            case .run(let handle):
                // The response to the call under way counts for this one too.
                if rechecks?.begin(handle) == false { continue }
            case .wait(let due): step = nextRecheck(at: now, otherwise: due ?? endOfEmptyRound(after: now))
            }
            guard case .run(let handle) = step, !index.hasClaim(ofVolumeHandle: handle) else { return step }
            endProbes(of: handle)
        }
    }

    /// Calls may begin again: the driver was identified after it could not be reached.
    package mutating func resumeProbes(at now: Duration) { probes?.resume(at: now) }

    /// Once per interval: a volume whose last claim is gone, and whose calls fail, may not be due for many intervals.
    private mutating func endUnusedProbes(at now: Duration) {
        guard probesEveryVolume, let probes, unusedProbesEndedAt.map({ now - $0 >= probes.interval }) ?? true else {
            return
        }
        unusedProbesEndedAt = now
        for handle in probes.failingKeys where !index.hasClaim(ofVolumeHandle: handle) { endProbes(of: handle) }
    }

    /// No claim uses the volume any more.
    mutating func endProbes(of handle: String) {
        probes?.remove(handle)
        rechecks?.remove(handle)
        guard let number = index.number(ofVolumeHandle: handle) else { return }
        absences.forget(number)
        // It is not probed any more, so what was known becomes stale.
        if probesEveryVolume { index.update(number) { $0.health = .unknown } }
    }

    /// Without volumes nothing is due, and each interval is complete all the same (``completedRound(at:)``).
    private func endOfEmptyRound(after now: Duration) -> Duration? {
        guard probesEveryVolume, let probes, probes.count == 0 else { return nil }
        // The last volume may have gone after the end of its round.
        return max(probes.roundEnd, now + .seconds(1))
    }

    /// Applies the result of a call for one volume, which ``nextProbe(at:)`` or ``endSweep(_:at:)`` returned. A failed
    /// call changes nothing (rule 1).
    package mutating func receive(_ result: ProbeResult, ofVolumeHandle handle: String, at now: Duration) {
        let outcome: ProbeSchedule<String>.Outcome
        switch result {
        case .report(let report):
            if let handle = index.number(ofVolumeHandle: handle) {
                index.update(handle) { $0.isMissing = false }
                absences.wasFound(handle)
                refuteLocality(byFinding: handle)
                setHealth(unknown: report.unknownConditions, of: handle, at: now)
                // Rules 3 and 6: conditions of unknown types are not health.
                if report.isHealthy || !report.conditions.isEmpty {
                    // What the list that is being received has shown so far is older.
                    sweep.unhealthy[handle] = nil
                    sweep.recovered.remove(handle)
                    report.isHealthy ? recovered(handle) : callRecoveries.relapsed(handle)
                    setHealth(VolumeState(report.conditions), of: handle, at: now)
                } else {
                    endMissing(handle, at: now)
                }
            }
            outcome = .responded
        case .notFound:
            outcome = notFound(handle, at: now) ? .responded : .unconfirmed
        case .withoutHealth:
            if let handle = index.number(ofVolumeHandle: handle) { foundWithoutHealth(handle, at: now) }
            outcome = .responded
        case .failed: outcome = .failed
        case .interrupted: outcome = .interrupted
        }
        let number = index.number(ofVolumeHandle: handle)
        let hasResponded = outcome == .responded || outcome == .unconfirmed
        if let number, hasResponded { responded(for: number, at: now) }
        let isUnhealthy = number.map(isKnownUnhealthy) ?? false
        probes?.finish(handle, outcome, isUnhealthy: isUnhealthy, at: now)
        setRecheck(handle, isUnhealthy: isUnhealthy && hasResponded, at: now)
        // Its last claim has gone during the call.
        if probesEveryVolume, !index.hasClaim(ofVolumeHandle: handle) { endProbes(of: handle) }
        if !absences.isEmpty || absences.suspicion != nil { reviewAbsences(at: now) }
    }

    /// The driver returned NOT_FOUND. Returns whether it was for the second time, which confirms it.
    private mutating func notFound(_ name: String, at now: Duration) -> Bool {
        guard let handle = index.number(ofVolumeHandle: name) else { return true }
        guard configuration.reportsMissingVolumes else {
            let isSecond = index.record(of: handle)?.isMissing == true
            index.update(handle) { $0.isMissing = true }
            return isSecond
        }
        let isSecond = index.record(of: handle)?.isMissing == true && absences.contains(handle)
        if isSecond {
            absences.notFound(handle, since: now, at: now)
        } else {
            markMissing(handle, since: now, at: now, awaitsCall: true)
            // Whether the driver finds other volumes decides if this one is reported.
            if absences.hasSingleUnreported { probes?.expedite(Self.controlProbes, at: now) }
        }
        reportIfMissing(handle, at: now)
        return isSecond
    }

    /// How many other volumes are probed at once when one volume is not found.
    private static var controlProbes: Int { 3 }

    private mutating func reviewAbsences(at now: Duration) {
        absences.review(used: usedVolumes, at: now)
    }
}
