// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

package import HealthCore

/// What the driver says when it is asked for one volume.
package enum ProbeAnswer: Sendable, Hashable {
    /// How the volume is.
    case report(VolumeHealthReport)
    /// It has no such volume.
    case notFound
    /// It said nothing of the volume's health.
    case withoutHealth
    /// The call failed.
    case failed
    /// The driver could not be reached.
    case interrupted
}

extension HealthState {
    /// Which volumes are probed one by one.
    package enum ProbeScope: Sendable, Hashable {
        /// All that a claim uses; those that turn up later join by themselves.
        case everyVolume
        /// Those of which lists say too little, and those whose absence from a list is to be confirmed.
        case whatListsLeaveOpen
    }

    /// Begins to probe volumes one by one: from now on ``nextProbe(at:)`` names one after the other.
    ///
    /// - Parameter minimumGap: the least time from one call to the next.
    package mutating func beginProbing(
        _ scope: ProbeScope = .everyVolume,
        interval: Duration,
        minimumGap: Duration = .zero,
        at now: Duration,
        using random: inout some RandomNumberGenerator
    ) {
        probesEveryVolume = scope == .everyVolume
        let used = probesEveryVolume ? index.handles { _ in true }.filter(index.hasClaim(ofVolumeHandle:)) : []
        probes = ProbeSchedule(
            interval: interval,
            minimumGap: minimumGap,
            used.shuffled(using: &random),
            at: now,
            using: &random
        )
    }

    /// Another way of asking begins: what the last one listed and missed says nothing of the next. Probing ends, unless
    /// it is begun anew.
    ///
    /// - Parameter writesStatus: whether conditions go to the claims' status fields; when not, what stands there is
    ///   cleared as volumes are asked for.
    package mutating func beginStrategy(writesStatus: Bool) {
        self.writesStatus = writesStatus
        probes = nil
        probesEveryVolume = false
        listProblem = nil
        (knowsOnlyItsNode, isLocalityJudged) = (false, false)
        entriesOfLastList = 0
        absences.retain { _ in false }
        absences.review(used: 0, at: .zero)
        index.forgetListings()
    }

    /// An interval that has ended and in which every volume was probed; each once. nil where there is none, or the calls did
    /// not get through in time.
    package mutating func completedRound(at now: Duration) -> ProbeRound? {
        reviewUnanswered(at: now)
        guard probesEveryVolume, let round = probes?.completedRound(at: now) else { return nil }
        if !absences.isEmpty {
            absences.retain { index.record(of: $0)?.isMissing == true && index.hasClaim(of: $0) }
            reviewAbsences(at: now)
            learnWhetherItKnowsOnlyItsNode()
        }
        return round
    }

    /// Volumes whose last answer is older than so many intervals, with its age, where volumes are probed one by one. Of one
    /// that was never answered the age is that of its first probe's turn.
    package func unanswered(forIntervals count: Int, at now: Duration) -> [(volumeHandle: String, age: Duration)] {
        guard probesEveryVolume, let probes else { return [] }
        return probes.unanswered(for: probes.keptInterval * count, at: now).map { ($0.key, $0.age) }
    }

    /// The claims of these volumes, with the age.
    package func claims(
        ofUnanswered volumes: [(volumeHandle: String, age: Duration)]
    ) -> [(claim: Claim, age: Duration)] {
        volumes.flatMap { volume in
            index.number(ofVolumeHandle: volume.volumeHandle).map { handle in
                index.claims(of: handle).compactMap { index.claim($0) }.map { (claim: $0, age: volume.age) }
            } ?? []
        }
    }

    /// What is known of this volume's health.
    package func health(ofVolumeHandle handle: String) -> KnownHealth? {
        index.record(ofVolumeHandle: handle)?.health
    }

    /// From one probe of a volume to its next, as it is kept: longer than the configured interval where the driver does not
    /// answer as fast. nil while volumes are not probed one by one.
    package var keptProbeInterval: Duration? { probesEveryVolume ? probes?.keptInterval : nil }

    /// Which volume to probe now. Volumes without a claim are left out until they have one.
    package mutating func nextProbe(at now: Duration) -> ProbeStep<String> {
        while true {
            guard let step = probes?.next(at: now) else { return .wait(until: nil) }
            guard case .probe(let handle) = step, !index.hasClaim(ofVolumeHandle: handle) else { return step }
            probes?.remove(handle)
            guard let number = index.number(ofVolumeHandle: handle) else { continue }
            absences.forget(number)
            // It is not probed any more, so what was known of it gets old.
            if probesEveryVolume { index.update(number) { $0.health = .unknown } }
        }
    }

    /// What the driver said of one volume: the answer to ``nextProbe(at:)``, or to what ``endSweep(_:at:)`` asked to
    /// have confirmed. A failed call changes nothing (rule 1).
    package mutating func receive(_ answer: ProbeAnswer, ofVolumeHandle handle: String, at now: Duration) {
        let outcome: ProbeSchedule<String>.Outcome
        switch answer {
        case .report(let report):
            if let handle = index.number(ofVolumeHandle: handle) {
                index.update(handle) { $0.isMissing = false }
                absences.wasFound(handle)
                unlearnWhetherItKnowsOnlyItsNode(handle)
                setHealth(unknown: report.unknownConditions, of: handle, at: now)
                // Rule 3, and rule 6: what is not understood is not health.
                if report.isHealthy || !report.conditions.isEmpty {
                    setHealth(VolumeState(report.conditions), of: handle, at: now)
                }
            }
            outcome = .answered
        case .notFound:
            outcome = notFound(handle, at: now) ? .answered : .unconfirmed
        case .withoutHealth:
            if let handle = index.number(ofVolumeHandle: handle) { found(handle, at: now) }
            outcome = .answered
        case .failed: outcome = .failed
        case .interrupted: outcome = .interrupted
        }
        let number = index.number(ofVolumeHandle: handle)
        if let number, outcome == .answered || outcome == .unconfirmed { responded(for: number, at: now) }
        let isUnhealthy = number.map(isKnownUnhealthy) ?? false
        probes?.finish(handle, outcome, isUnhealthy: isUnhealthy, at: now)
        if !absences.isEmpty || absences.suspicion != nil { reviewAbsences(at: now) }
    }

    /// Returns whether that was the second time.
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
            missed(handle, since: now, at: now, awaitsCall: true)
            // Whether the driver finds others decides what comes of it.
            if absences.isAloneUnreported { probes?.hasten(Self.controls, at: now) }
        }
        reportIfMissing(handle, at: now)
        return isSecond
    }

    /// How many other volumes are probed at once when one is not found.
    private static var controls: Int { 3 }

    private mutating func reviewAbsences(at now: Duration) {
        absences.review(used: usedVolumes, at: now)
    }
}
