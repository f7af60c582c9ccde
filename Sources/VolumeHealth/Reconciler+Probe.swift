// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// What the driver says when it is asked for one volume.
public enum ProbeAnswer: Sendable, Hashable {
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

extension Reconciler {
    /// Begins to ask for the volumes one by one: from now on ``nextProbe(at:)`` names one after the other. Volumes that
    /// turn up later join by themselves.
    public mutating func beginProbing(
        interval: Duration,
        at now: Duration,
        using random: inout some RandomNumberGenerator
    ) {
        let used = index.handles { _ in true }.filter(index.hasClaim(ofVolumeHandle:))
        probes = ProbeSchedule(
            interval: interval,
            volumeHandles: used.shuffled(using: &random),
            at: now,
            using: &random
        )
    }

    /// Another way of asking begins: what the last one listed and missed says nothing of the next. Probing ends, unless
    /// it is begun anew.
    ///
    /// - Parameter writesStatus: whether conditions go to the claims' status fields; when not, what stands there is
    ///   cleared as volumes are asked for.
    public mutating func beginStrategy(writesStatus: Bool) {
        self.writesStatus = writesStatus
        probes = nil
        index.forgetListings()
    }

    /// Whether an interval has ended in which every volume was asked for and answered; true once for each.
    public mutating func completedRound(at now: Duration) -> Bool {
        probes?.completedRound(at: now) ?? false
    }

    /// Which volume to ask for now. Volumes without a claim are left out until they have one.
    public mutating func nextProbe(at now: Duration) -> ProbeStep {
        while true {
            guard let step = probes?.next(at: now) else { return .wait(until: nil) }
            guard case .probe(let handle) = step, !index.hasClaim(ofVolumeHandle: handle) else { return step }
            probes?.remove(handle)
        }
    }

    /// What the driver said of one volume: the answer to ``nextProbe(at:)``, or to what ``endSweep(_:at:)`` asked to
    /// have confirmed. A failed call changes nothing (rule 1).
    public mutating func receive(_ answer: ProbeAnswer, ofVolumeHandle handle: String, at now: Duration) {
        let outcome: ProbeSchedule.Outcome
        switch answer {
        case .report(let report):
            if let handle = index.number(ofVolumeHandle: handle) {
                index.update(handle) { $0.isMissing = false }
                conclude(unknown: report.unknownConditions, of: handle, at: now)
                // Rule 3, and rule 6: what is not understood is not health.
                if report.isHealthy || !report.conditions.isEmpty {
                    conclude(VolumeState(report.conditions), of: handle, at: now)
                }
            }
            outcome = .answered
        case .notFound:
            let isConfirmed = index.record(ofVolumeHandle: handle)?.isMissing == true
            index.update(handle) { $0.isMissing = true }
            if isConfirmed { concludeMissing(handle, at: now) }
            outcome = isConfirmed ? .answered : .unconfirmed
        case .withoutHealth:
            if let handle = index.number(ofVolumeHandle: handle) { found(handle, at: now) }
            outcome = .answered
        case .failed: outcome = .failed
        case .interrupted: outcome = .interrupted
        }
        probes?.finish(handle, outcome, at: now)
    }
}
