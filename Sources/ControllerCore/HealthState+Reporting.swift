// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

package import HealthCore

/// The way of a report on a volume's conditions through the core, in the order in which it happens:
///
/// 1. ``setHealth(_:of:isConfirmed:observed:at:)``: the driver has shown the state of a volume. Which claims use it?
/// 2. `report`: is it reported on a claim now? A change must hold for ``HoldTimes``, and of a volume that changes too
///    often only the latest state is reported, at the end of each pause.
/// 3. `queue`: the state goes to ``events`` and to the claim's status. ``HealthCore/ReportQueue`` decides whether it
///    differs from what was reported.
/// 4. ``nextEvent(at:)`` hands out the event, ``recorded(event:count:at:)`` and ``complete(event:_:at:)`` take its
///    outcome.
///
/// - The counts of volumes by health show the driver's latest response. Events, the status of claims and the gauges of
///   single claims show what was reported.
/// - A missing volume was held by ``AbsenceGuard`` already; its recovery is held as any other.
/// - Conditions of unknown types, and volumes without a response, are not held.
/// - A new leader counts what earlier ones have reported as reported. It begins its own holds and counts.
extension HealthState {
    /// Sets the health of a volume, and queues the reports on its claims that need not be held back.
    ///
    /// - Parameters:
    ///   - isConfirmed: the state has lasted for a hold of its own, ``HoldTimes`` do not apply.
    ///   - observed: when the driver observed the state: the beginning of a list; nil: now.
    mutating func setHealth(
        _ state: VolumeState,
        of handle: HandleNumber,
        isConfirmed: Bool = false,
        observed: Duration? = nil,
        at now: Duration
    ) {
        index.update(handle) { $0.health = state.isClear ? .healthy : .unhealthy }
        for claim in index.claims(of: handle) {
            report(state, on: claim, isConfirmed: isConfirmed, observed: observed ?? now, at: now)
        }
        recheck(handle, at: now)
    }

    /// The same for a handle that may have no PersistentVolume any more.
    mutating func setHealth(
        _ state: VolumeState,
        ofVolumeHandle handle: String,
        isConfirmed: Bool = false,
        at now: Duration
    ) {
        guard let handle = index.number(ofVolumeHandle: handle) else { return }
        setHealth(state, of: handle, isConfirmed: isConfirmed, at: now)
    }

    /// Reports a state on a claim, unless it has to wait.
    ///
    /// - Parameter observed: all entries of a list count as one observation, made at its beginning.
    private mutating func report(
        _ state: VolumeState,
        on claim: ClaimNumber,
        isConfirmed: Bool,
        observed: Duration,
        at now: Duration
    ) {
        let reported = events.fingerprint(claim)
        let latest: Fingerprint? = flaps.waiting(claim).map(\.unclearFingerprint) ?? reported
        guard holds.passes(state, for: claim, reported: latest, isConfirmed: isConfirmed, at: observed) else {
            return
        }
        let passes = flaps.passes(state, for: claim, reported: reported, at: now)
        if let flapping = flaps.flapping(claim) {
            let event = FlappingState(changes: flapping.changes, since: flapping.since, state: state)
            flapEvents.set(event, for: claim, at: now)
        }
        if passes { queue(state, on: claim, at: now) }
    }

    /// Passes a state on to the queue of events and to the claim's status.
    private mutating func queue(_ state: VolumeState, on claim: ClaimNumber, at now: Duration) {
        if !reportedBefore.isEmpty { reportedBefore[claim] = nil }
        let unhealthySince = events.fingerprint(claim) == nil ? nil : events.since(claim)
        events.set(state, for: claim, at: now)
        if !state.isClear { foundUnhealthy(claim, since: unhealthySince, at: now) }
        setStatus(state, for: claim, at: now)
    }

    /// Reports what has waited for the end of a pause, and ends the flapping of volumes that have been quiet.
    mutating func endPauses(at now: Duration) {
        guard let due = flaps.firstDue, due <= now else { return }
        let release = flaps.release(at: now)
        for (claim, state) in release.states { queue(state, on: claim, at: now) }
        for claim in release.ended { flapEvents.remove(claim) }
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
        events.complete(event, settled(outcome, of: event.key, event.target), at: now)
    }

    /// In a namespace that is being deleted, nothing can be recorded, and a claim stays as long as a pod uses it
    /// (the finalizer `kubernetes.io/pvc-protection`): its report is done. As one of a claim that is gone, it would be a
    /// new one with each response.
    func settled(_ outcome: ReportOutcome, of number: ClaimNumber, _ claim: Claim) -> ReportOutcome {
        outcome == .gone && index.claim(number)?.uid == claim.uid ? .reported : outcome
    }
}

// MARK: What has been reported, or is about to be

extension HealthState {
    /// Whether the volume was reported as unhealthy, or is about to be: on any of its claims, by an event or by status.
    func isKnownUnhealthy(_ handle: HandleNumber) -> Bool {
        if events.isEmpty, statuses.isEmpty, holdsBackNothing, !index.hasUnhealthyStatuses { return false }
        return index.claims(of: handle).contains { claim in
            events.contains(claim) || statuses.contains(claim) || index.showsUnhealthy(claim)
                || heldBack(on: claim) != nil
        }
    }

    /// The handles for which ``isKnownUnhealthy(_:)`` is true and whose record satisfies the predicate.
    func knownUnhealthyHandles(where isIncluded: (ClaimIndex.HandleRecord) -> Bool) -> Set<String> {
        var handles: Set<String> = []
        func add(_ claim: ClaimNumber) {
            guard let record = index.record(ofVolumeOf: claim), isIncluded(record) else { return }
            if let handle = index.volumeHandle(of: claim) { handles.insert(handle) }
        }
        for claim in events.keys { add(claim) }
        for claim in statuses.keys { add(claim) }
        for claim in claimsHeldBack { add(claim) }
        for claim in index.unhealthyStatuses { add(claim) }
        return handles
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
}
