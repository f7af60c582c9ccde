// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

package import HealthCore

/// The reports to send, in four streams, each with a `next` and a `complete`: events on conditions, events on
/// conditions of unknown types, events on volumes without a response (`HealthState+Unanswered.swift`), and status
/// updates.
extension HealthState {
    /// An earlier process reported this state by an event on the claim, and nothing since (rule 9). Called before the
    /// first report of the term.
    ///
    /// - Parameters:
    ///   - fingerprint: the fingerprint of the ``VolumeState`` that was reported, which is not clear.
    ///   - state: the state that was reported, when the event holds all of it.
    ///   - time: when it was reported; may be before the clock's origin.
    ///   - since: since when the state holds, used when the claim's status does not show it; nil: `reportedAt`.
    ///   - wall: `now` in seconds since 1970, to convert times in the claim's status; nil: these are not used.
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
            // It used a volume of the monitored driver, which was deleted while no process watched.
            setStatus(.clear, for: claim, at: now)
        }
    }

    /// For claims without an event, the status shows what was reported, long ago (rule 9). Called after
    /// ``restore(reported:state:claimUID:key:reportedAt:since:at:wall:)``.
    ///
    /// - Parameter known: the uids of claims that have an event.
    package mutating func restoreFromStatuses(except known: Set<String>, at now: Duration, wall: Int64? = nil) {
        for claim in index.unhealthyStatuses
        where index.hasVolume(claim) && index.uid(of: claim).map(known.contains) == false {
            let longAgo = now - (ReportTiming.lastingEvents.refreshInterval ?? .zero)
            let shown = index.healthStatus(of: claim)
            // A condition does not hold all of what was reported.
            let fingerprint = shown.isClear ? .unknown : shown.fingerprint
            events.restore(
                reported: fingerprint,
                for: claim,
                reportedAt: longAgo,
                since: shownSince(claim, fingerprint, at: now, wall: wall)
            )
        }
    }

    /// Since when the claim's status shows the state with this fingerprint; nil when it does not show it.
    private func shownSince(
        _ claim: ClaimNumber,
        _ fingerprint: Fingerprint,
        at now: Duration,
        wall: Int64?
    ) -> Duration? {
        guard let wall, let since = index.unhealthySince(claim, showing: fingerprint), since > 0 else { return nil }
        // Valid for any number: the API server validates no time in a claim's status.
        return now - max(.zero, .seconds(wall) - .seconds(since))
    }

    /// An earlier process reported a condition of an unknown type on the claim.
    package mutating func restore(reportedUnknown fingerprint: Fingerprint, claimUID: String, key: ClaimKey) {
        guard let claim = index.number(at: key), index.uid(of: claim) == claimUID, index.hasVolume(claim) else {
            return
        }
        let key = UnknownConditionKey(claim: claim, fingerprint: fingerprint)
        if register(key) { unknowns.restore(reported: fingerprint, for: key, reportedAt: .zero) }
    }

    /// The next event on a claim whose volume is unhealthy or has recovered.
    package mutating func nextEvent(at now: Duration) -> ReportStep<ClaimNumber, VolumeState, Claim> {
        events.next(at: now, target: index.claim)
    }

    /// A refresh found that the event had expired: the API server's event lifetime is shorter than the refresh interval
    /// (rule 8).
    package mutating func eventWasGone(at now: Duration) {
        events.shortenRefreshInterval(at: now)
    }

    /// Completes an event.
    ///
    /// - Returns: whether the outcome is a failure worth a warning: the first of its claim, of its namespace, or of
    ///   all.
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

    /// Completes an event.
    ///
    /// - Returns: whether the outcome is a failure worth a warning: the first of its claim, of its namespace, or of
    ///   all.
    @discardableResult
    package mutating func complete(
        unknownEvent event: PendingReport<UnknownConditionKey, UnknownConditionState, Claim>,
        _ outcome: ReportOutcome,
        at now: Duration
    ) -> Bool {
        unknowns.complete(event, outcome, at: now)
    }

    /// The next claim whose status does not show the current state: see ``statusChange(for:)``.
    package mutating func nextStatus(at now: Duration) -> ReportStep<ClaimNumber, VolumeState, Claim> {
        statuses.next(at: now, target: index.claim)
    }

    /// Completes a status update; returns as ``complete(event:_:at:)``.
    @discardableResult
    package mutating func complete(
        status: PendingReport<ClaimNumber, VolumeState, Claim>,
        _ outcome: ReportOutcome,
        at now: Duration
    ) -> Bool {
        statuses.complete(status, outcome, at: now)
    }

    /// How many reports were scheduled, by stream. While the number of a stream does not change, its `next` has nothing
    /// new.
    package struct Plans: Sendable, Hashable {
        package var events: UInt64
        package var unknownEvents: UInt64
        package var responseEvents: UInt64
        package var statuses: UInt64
    }

    /// How many reports were scheduled, by stream.
    package var plans: Plans {
        Plans(
            events: events.plans,
            unknownEvents: unknowns.plans,
            responseEvents: responses.plans,
            statuses: statuses.plans
        )
    }

    /// The claims whose volumes are unhealthy: as the driver reports or, before its first response in this term, as was
    /// reported.
    package var unhealthyClaims: [ClaimNumber] { events.keys.filter { unhealthyState(of: $0) != nil } }

    /// The state of the volume of each of these claims, and since when its set of (status, reason) is unchanged as far
    /// as is known. Claims that are gone or have recovered meanwhile are left out.
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

    /// How many events on transitions wait, and since when the oldest does.
    package var eventBacklog: (depth: Int, oldest: Duration?) { events.backlog }

    /// When each report under way was handed out, in no order: events, and status updates.
    package var beginningsUnderWay: (events: [Duration], statuses: [Duration]) {
        (events.beginningsUnderWay, statuses.beginningsUnderWay)
    }

    /// How many transitions were queued in this term for events and status updates, retries included.
    package var queueAdds: (events: UInt64, statuses: UInt64) { (events.adds, statuses.adds) }

    /// Whether the API server keeps `status.healthStatus` and allows this process to write it, as far as is known.
    package var isStatusSupported: Bool { keepsHealthStatus != false && !statuses.isForbidden }

    /// How many status updates on transitions wait, and since when the oldest does.
    ///
    /// Zero while they are forbidden: roles for external-health-monitor 0.18 have no rule for them.
    package var statusBacklog: (depth: Int, oldest: Duration?) { statuses.isForbidden ? (0, nil) : statuses.backlog }
}
