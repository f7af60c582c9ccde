// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// What to tell now, in three streams, each with `next` and `settle`.
extension Reconciler {
    /// An earlier process told this on the claim's events, and nothing else since (rule 9). Before anything is told.
    ///
    /// - Parameters:
    ///   - fingerprint: of the ``VolumeState`` that was told; never a clear one.
    ///   - time: when; may be before the clock's beginning.
    public mutating func restore(
        told fingerprint: Fingerprint,
        claimUID: String,
        key: ClaimKey,
        toldAt time: Duration,
        at now: Duration
    ) {
        guard let latest = index.latest(at: key), latest.uid == claimUID else { return }
        if index.volumeHandle(of: latest) != nil {
            events.restore(told: fingerprint, for: claimUID, claim: latest, toldAt: time)
        } else if !index.healthStatus(ofClaimUID: claimUID).isEmpty {
            // It was ours, and its volume went while nobody watched.
            setStatus([], for: latest, at: now)
        }
    }

    /// Of claims of which no event is left, their status says what was told, long ago (rule 9). After
    /// ``restore(told:claimUID:key:toldAt:at:)``.
    ///
    /// - Parameter known: uids of claims of which there is an event.
    public mutating func restoreFromStatuses(except known: Set<String>, at now: Duration) {
        for claim in index.claimsWithHealthStatus where !known.contains(claim.uid) {
            let state = VolumeState(index.healthStatus(ofClaimUID: claim.uid))
            let longAgo = now - (ReportTiming.lastingEvents.refreshInterval ?? .zero)
            events.restore(told: state.fingerprint, for: claim.uid, claim: claim, toldAt: longAgo)
        }
    }

    /// An earlier process told of an unknown condition.
    public mutating func restore(toldUnknown fingerprint: Fingerprint, claimUID: String, key: ClaimKey) {
        guard let claim = index.claim(at: key), claim.uid == claimUID else { return }
        unknowns.restore(
            told: fingerprint,
            for: UnknownConditionKey(claimUID: claimUID, fingerprint: fingerprint),
            claim: claim,
            toldAt: .zero
        )
    }

    /// The next event on a claim whose volume is not well, or is well again.
    public mutating func nextEvent(at now: Duration) -> ReportStep<String, VolumeState> {
        events.next(at: now, latest: index.latest)
    }

    /// How telling it went.
    public mutating func settle(event: Announcement<String, VolumeState>, _ outcome: ReportOutcome, at now: Duration) {
        events.settle(event, outcome, at: now)
    }

    /// The next event on a condition of an unknown type.
    public mutating func nextUnknownEvent(at now: Duration) -> ReportStep<UnknownConditionKey, UnknownConditionState> {
        unknowns.next(at: now, latest: index.latest)
    }

    /// How telling it went.
    public mutating func settle(
        unknownEvent event: Announcement<UnknownConditionKey, UnknownConditionState>,
        _ outcome: ReportOutcome,
        at now: Duration
    ) {
        unknowns.settle(event, outcome, at: now)
    }

    /// The next `status.healthStatus` to write.
    public mutating func nextStatus(at now: Duration) -> ReportStep<String, VolumeState> {
        statuses.next(at: now, latest: index.latest)
    }

    /// How writing it went.
    public mutating func settle(status: Announcement<String, VolumeState>, _ outcome: ReportOutcome, at now: Duration) {
        statuses.settle(status, outcome, at: now)
    }

    /// Everything that is wrong and told, or about to be told, by claim.
    public var adverseClaims: [(claim: Claim, state: VolumeState)] { events.adverse }

    /// How many events wait to be told for the first time, and since when the oldest does.
    public var eventBacklog: (depth: Int, oldest: Duration?) { events.backlog }

    /// How many status fields wait to be written, and since when the oldest does.
    public var statusBacklog: (depth: Int, oldest: Duration?) { statuses.backlog }
}
