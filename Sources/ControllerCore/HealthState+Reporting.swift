// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

package import HealthCore

/// What to report now, in four streams, each with `next` and `complete`.
extension HealthState {
    /// An earlier process reported this on the claim's events, and nothing else since (rule 9). Before anything is reported.
    ///
    /// - Parameters:
    ///   - fingerprint: of the ``VolumeState`` that was reported; never a clear one.
    ///   - state: the same as far as it is known.
    ///   - time: when; may be before the clock's beginning.
    ///   - since: since when it is so, where the claim's status does not say; nil: `reportedAt`.
    ///   - wall: `now` in seconds since 1970, for the times in the claim's status; nil: they are not used.
    package mutating func restore(
        reported fingerprint: Fingerprint,
        state: VolumeState? = nil,
        claimUID: String,
        key: ClaimKey,
        reportedAt time: Duration,
        since: Duration? = nil,
        at now: Duration,
        wall: Int64? = nil
    ) {
        guard let claim = index.number(at: key), index.uid(of: claim) == claimUID else { return }
        if index.hasVolume(claim) {
            events.restore(
                reported: fingerprint,
                for: claim,
                reportedAt: time,
                since: shownSince(claim, fingerprint, at: now, wall: wall) ?? since
            )
            if let state, events.current(claim) == nil { reportedBefore[claim] = state }
        } else if index.showsUnhealthy(claim) {
            // It was ours, and its volume went while nobody watched.
            setStatus(.clear, for: claim, at: now)
        }
    }

    /// Of claims of which no event is left, their status says what was reported, long ago (rule 9). After
    /// ``restore(reported:claimUID:key:reportedAt:at:)``.
    ///
    /// - Parameter known: uids of claims of which there is an event.
    package mutating func restoreFromStatuses(except known: Set<String>, at now: Duration, wall: Int64? = nil) {
        for claim in index.unhealthyStatuses
        where index.hasVolume(claim) && index.uid(of: claim).map(known.contains) == false {
            let longAgo = now - (ReportTiming.lastingEvents.refreshInterval ?? .zero)
            let shown = index.healthStatus(of: claim)
            // A condition has not all of what was reported.
            let fingerprint = shown.isClear ? .unknown : shown.fingerprint
            events.restore(
                reported: fingerprint,
                for: claim,
                reportedAt: longAgo,
                since: shownSince(claim, fingerprint, at: now, wall: wall)
            )
        }
    }

    /// Since when the claim's status shows this; nil where it does not say.
    private func shownSince(
        _ claim: ClaimNumber,
        _ fingerprint: Fingerprint,
        at now: Duration,
        wall: Int64?
    ) -> Duration? {
        guard let wall, let since = index.unhealthySince(claim, showing: fingerprint), since > 0 else { return nil }
        // For any number: the API server checks no time in a claim's status.
        return now - max(.zero, .seconds(wall) - .seconds(since))
    }

    /// An earlier process reported of an unknown condition.
    package mutating func restore(reportedUnknown fingerprint: Fingerprint, claimUID: String, key: ClaimKey) {
        guard let claim = index.number(at: key), index.uid(of: claim) == claimUID, index.hasVolume(claim) else {
            return
        }
        let key = UnknownConditionKey(claim: claim, fingerprint: fingerprint)
        if register(key) { unknowns.restore(reported: fingerprint, for: key, reportedAt: .zero) }
    }

    /// The next event on a claim whose volume is not well, or is well again.
    package mutating func nextEvent(at now: Duration) -> ReportStep<ClaimNumber, VolumeState, Claim> {
        events.next(at: now, target: index.claim)
    }

    /// A refresh found that the API server had forgotten the event: its event lifetime is shorter than the time between
    /// refreshes (rule 8).
    package mutating func eventWasGone(at now: Duration) {
        events.shortenRefreshInterval(at: now)
    }

    /// How attemptID it went.
    ///
    /// - Returns: whether it is a failure that is worth a warning: the first of its claim, its namespace, or of all.
    @discardableResult
    package mutating func complete(
        event: PendingReport<ClaimNumber, VolumeState, Claim>,
        _ outcome: ReportOutcome,
        at now: Duration
    ) -> Bool {
        events.complete(event, outcome, at: now)
    }

    /// The next event on a condition of an unknown type.
    package mutating func nextUnknownEvent(
        at now: Duration
    ) -> ReportStep<UnknownConditionKey, UnknownConditionState, Claim> {
        unknowns.next(at: now) { index.claim($0.claim) }
    }

    /// How attemptID it went.
    ///
    /// - Returns: whether it is a failure that is worth a warning: the first of its claim, its namespace, or of all.
    @discardableResult
    package mutating func complete(
        unknownEvent event: PendingReport<UnknownConditionKey, UnknownConditionState, Claim>,
        _ outcome: ReportOutcome,
        at now: Duration
    ) -> Bool {
        unknowns.complete(event, outcome, at: now)
    }

    /// The next claim whose status does not show what it should: see ``statusChange(for:)``.
    package mutating func nextStatus(at now: Duration) -> ReportStep<ClaimNumber, VolumeState, Claim> {
        statuses.next(at: now, target: index.claim)
    }

    /// How writing it went; returns as ``complete(event:_:at:)``.
    @discardableResult
    package mutating func complete(
        status: PendingReport<ClaimNumber, VolumeState, Claim>,
        _ outcome: ReportOutcome,
        at now: Duration
    ) -> Bool {
        statuses.complete(status, outcome, at: now)
    }

    /// How often something to report became due, or will, by stream: while that of a stream is the same, its `next` has nothing
    /// that it had not before.
    package struct Plans: Sendable, Hashable {
        /// Of ``nextEvent(at:)``.
        package var events: UInt64
        /// Of ``nextUnknownEvent(at:)``.
        package var unknownEvents: UInt64
        /// Of ``nextResponseEvent(at:)``.
        package var responseEvents: UInt64
        /// Of ``nextStatus(at:)``.
        package var statuses: UInt64
    }

    /// How often something to report became due, or will.
    package var plans: Plans {
        Plans(
            events: events.plans,
            unknownEvents: unknowns.plans,
            responseEvents: responses.plans,
            statuses: statuses.plans
        )
    }

    /// The claims whose volumes are unhealthy, as the driver says or, before it was asked in this term, as was reported.
    package var unhealthyClaims: [ClaimNumber] { events.keys.filter { unhealthyState(of: $0) != nil } }

    /// The conditions of the volume of each of these claims, and since when its set of status and reason is the same as far
    /// as is known; nothing of claims that are gone or have recovered by now.
    package func unhealthyStates(
        of claims: some Sequence<ClaimNumber>
    ) -> [(claim: Claim, state: VolumeState, since: Duration)] {
        claims.compactMap { number in
            guard let state = unhealthyState(of: number), let since = events.since(number) else { return nil }
            return index.claim(number).map { ($0, state, since) }
        }
    }

    private func unhealthyState(of claim: ClaimNumber) -> VolumeState? {
        if let state = events.current(claim) { return state.isClear ? nil : state }
        guard events.contains(claim) else { return nil }
        if let state = reportedBefore[claim] { return state }
        let shown = index.healthStatus(of: claim)
        return shown.isClear ? nil : shown
    }

    /// How many events wait to be reported for the first time, and since when the oldest does.
    package var eventBacklog: (depth: Int, oldest: Duration?) { events.backlog }

    /// How often a change of an event and of a status was queued in this term, also to be tried again.
    package var queueAdds: (events: UInt64, statuses: UInt64) { (events.adds, statuses.adds) }

    /// Whether the API server keeps `status.healthStatus` and lets us write it, as far as is known.
    package var isStatusSupported: Bool { keepsHealthStatus != false && !statuses.isForbidden }

    /// How many status fields wait to be written, and since when the oldest does.
    ///
    /// None where that is forbidden: roles made for external-health-monitor 0.18 have no rule for it.
    package var statusBacklog: (depth: Int, oldest: Duration?) { statuses.isForbidden ? (0, nil) : statuses.backlog }
}
