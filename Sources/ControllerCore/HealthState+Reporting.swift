// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

package import HealthCore

/// The reports to send, in six streams, each with a `next…` and a `complete(…)`: events on conditions, events on
/// conditions of unknown types, events on volumes for which the driver does not respond
/// (`HealthState+Responses.swift`), events on flapping volumes (`HealthState+Holding.swift`), status updates, and
/// events on the driver (`HealthState+Outage.swift`).
extension HealthState {
    /// Restores that the last event of an earlier process on this claim reported this state (rule 9). Ignored if no
    /// claim has this key and uid any more.
    ///
    /// Called before the first report of the term, or later if the events could not be read back then: what this
    /// process has reported on the claim meanwhile takes precedence.
    ///
    /// - Parameters:
    ///   - fingerprint: the fingerprint of the ``VolumeState`` that was reported, which is not clear.
    ///   - state: the state that was reported; nil if the event does not contain all of it.
    ///   - time: when it was reported; may be before the clock's origin.
    ///   - since: since when the state has lasted; ignored if the claim's status shows that. nil: since `time`.
    ///   - count: the event's count; 0: not known, or the event has a name that this process would not give it.
    ///   - wall: `now` in seconds since 1970, to convert the times in the claim's status; nil: these are ignored.
    package mutating func restore(
        reported fingerprint: Fingerprint,
        state: VolumeState? = nil,
        claimUID: String,
        key: ClaimKey,
        reportedAt time: Duration,
        since: Duration? = nil,
        count: Int = 0,
        at now: Duration,
        wall: Int64? = nil
    ) {
        guard let claim = index.number(at: key), index.uid(of: claim) == claimUID else { return }
        if index.hasVolume(claim) {
            events.restore(
                reported: fingerprint,
                for: claim,
                reportedAt: time,
                since: shownSince(claim, fingerprint, at: now, wall: wall) ?? since,
                count: count
            )
            if let state, events.current(claim) == nil { reportedBefore[claim] = state }
        } else if index.showsUnhealthy(claim) {
            // The claim used a volume of the monitored driver that was deleted while no process watched.
            setStatus(.clear, for: claim, at: now)
        }
    }

    /// Restores what was reported on claims without an event: what their status shows (rule 9). It counts as reported
    /// one refresh interval ago, so that a state that the driver still reports is recorded at once. Called after
    /// ``restore(reported:state:claimUID:key:reportedAt:since:count:at:wall:)``.
    ///
    /// - Parameter known: the uids of claims that have an event.
    package mutating func restoreFromStatuses(except known: Set<String>, at now: Duration, wall: Int64? = nil) {
        for claim in index.unhealthyStatuses
        where index.hasVolume(claim) && index.uid(of: claim).map(known.contains) == false {
            let longAgo = now - (ReportTiming.lastingEvents.refreshInterval ?? .zero)
            let shown = index.healthStatus(of: claim)
            // A claim condition does not contain all of the reported state.
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
        // A `Duration` holds the difference of any two numbers, and a time in the future counts as now: the API server
        // does not validate the times in a claim's status.
        return now - max(.zero, .seconds(wall) - .seconds(since))
    }

    /// Restores that an earlier process reported a condition of an unknown type on the claim, so that it is not
    /// reported again. Ignored if no claim with a volume of the monitored driver has this key and uid.
    package mutating func restore(reportedUnknown fingerprint: Fingerprint, claimUID: String, key: ClaimKey) {
        guard let claim = index.number(at: key), index.uid(of: claim) == claimUID, index.hasVolume(claim) else {
            return
        }
        let key = UnknownConditionKey(claim: claim, fingerprint: fingerprint)
        if register(key) { unknowns.restore(reported: fingerprint, for: key, reportedAt: .zero) }
    }

    /// The next event on a claim whose volume is unhealthy or has recovered. Record it, then call
    /// ``complete(event:_:at:)`` in any case. While an outage begins, the event on the driver comes first.
    package mutating func nextEvent(at now: Duration) -> NextStep<PendingReport<ClaimNumber, VolumeState, Claim>> {
        endPauses(at: now)
        if let outagePrecedence, now < outagePrecedence { return .wait(until: outagePrecedence) }
        return events.next(at: now, target: index.claim).waiting(atMostUntil: flaps.firstDue)
    }

    /// An event of ``nextEvent(at:)`` was recorded. Called before it is completed:
    /// ``HealthCore/ReportQueue/recorded(_:count:at:)``.
    package mutating func recorded(
        event: PendingReport<ClaimNumber, VolumeState, Claim>,
        count: Int,
        at now: Duration
    ) {
        events.recorded(event, count: count, at: now)
    }

    /// Completes a report of ``nextEvent(at:)``.
    ///
    /// - Returns: whether to log a warning: the outcome is the first failure of its claim, of its namespace, or of all.
    @discardableResult
    package mutating func complete(
        event: PendingReport<ClaimNumber, VolumeState, Claim>,
        _ outcome: ReportOutcome,
        at now: Duration
    ) -> Bool {
        events.complete(event, outcome, at: now)
    }

    /// The next event on a condition of an unknown type. Record it, then call ``complete(unknownEvent:_:at:)`` in any
    /// case.
    package mutating func nextUnknownEvent(
        at now: Duration
    ) -> NextStep<PendingReport<UnknownConditionKey, UnknownCondition, Claim>> {
        unknowns.next(at: now) { index.claim($0.claim) }
    }

    /// Completes a report of ``nextUnknownEvent(at:)``; returns as ``complete(event:_:at:)``.
    @discardableResult
    package mutating func complete(
        unknownEvent event: PendingReport<UnknownConditionKey, UnknownCondition, Claim>,
        _ outcome: ReportOutcome,
        at now: Duration
    ) -> Bool {
        unknowns.complete(event, outcome, at: now)
    }

    /// The next claim whose status does not show the current state. Write ``statusChange(for:)``, then call
    /// ``complete(status:_:at:)`` in any case.
    package mutating func nextStatus(at now: Duration) -> NextStep<PendingReport<ClaimNumber, VolumeState, Claim>> {
        endPauses(at: now)
        return statuses.next(at: now, target: index.claim).waiting(atMostUntil: flaps.firstDue)
    }

    /// Completes a report of ``nextStatus(at:)``; returns as ``complete(event:_:at:)``.
    @discardableResult
    package mutating func complete(
        status: PendingReport<ClaimNumber, VolumeState, Claim>,
        _ outcome: ReportOutcome,
        at now: Duration
    ) -> Bool {
        statuses.complete(status, outcome, at: now)
    }

    /// How many reports were scheduled in each stream. While a number is unchanged, no report was added to its stream.
    package struct Plans: Sendable, Hashable {
        package var events: UInt64
        package var unknownEvents: UInt64
        package var responseEvents: UInt64
        package var statuses: UInt64
        package var flappingEvents: UInt64
        package var outages: UInt64
    }

    /// How many reports have been scheduled so far: compared before and after a change, to wake up the dispatcher.
    package var plans: Plans {
        Plans(
            events: events.plans + flaps.plans + outageReleases,
            unknownEvents: unknowns.plans,
            responseEvents: responses.plans,
            statuses: statuses.plans + flaps.plans,
            flappingEvents: flapEvents.plans,
            outages: outages.plans + outageBeginnings
        )
    }

    /// The claims whose volumes are unhealthy: as the driver last reported or, until its first response for the volume
    /// in this term, as an earlier process reported.
    package var unhealthyClaims: [ClaimNumber] { events.keys.filter { unhealthyState(of: $0) != nil } }

    /// The state of the volume of each of these claims, and since when its set of (status, reason) is unchanged, as far
    /// as is known, on the clock of the core. Claims that are gone, and those whose volumes have recovered, are left
    /// out.
    package func unhealthyStates(
        of claims: some Sequence<ClaimNumber>
    ) -> [(claim: Claim, state: VolumeState, since: Duration)] {
        claims.compactMap { number in
            guard let state = unhealthyState(of: number), let since = events.since(number) else { return nil }
            return index.claim(number).map { ($0, state, since) }
        }
    }

    func unhealthyState(of claim: ClaimNumber) -> VolumeState? {
        if let state = events.current(claim) { return state.isClear ? nil : state }
        guard events.contains(claim) else { return nil }
        if let state = reportedBefore[claim] { return state }
        let shown = index.healthStatus(of: claim)
        return shown.isClear ? nil : shown
    }

    /// How many events on transitions wait or are under way, and since when the oldest of them does.
    package var eventBacklog: (depth: Int, oldest: Duration?) { events.backlog }

    /// When each report under way was handed out, in no order: events, and status updates.
    package var beginningsUnderWay: (events: [Duration], statuses: [Duration]) {
        (events.beginningsUnderWay, statuses.beginningsUnderWay)
    }

    /// How many transitions were queued in this term for events and status updates, retries included.
    package var queueAdds: (events: UInt64, statuses: UInt64) { (events.adds, statuses.adds) }

    /// Whether the API server keeps `status.healthStatus` and allows this process to write it; true until it is known.
    package var isStatusSupported: Bool { keepsHealthStatus != false && !statuses.isForbidden }

    /// How many status updates on transitions wait or are under way, and since when the oldest of them does.
    ///
    /// Empty while status updates are forbidden, as they are by the roles of external-health-monitor 0.18.
    package var statusBacklog: (depth: Int, oldest: Duration?) { statuses.isForbidden ? (0, nil) : statuses.backlog }

    /// The reports of all streams that have failed and wait; nil when there are none. Without status updates while all of
    /// them are forbidden, and without events on failed nodes, which have a queue of their own.
    package var failingReports: FailingReports? {
        .sum([
            events.failing, unknowns.failing, responses.failing, flapEvents.failing, outages.failing,
            statuses.isForbiddenAltogether ? nil : statuses.failing,
        ])
    }
}
