// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

package import HealthCore

/// The filters between the driver's responses and the queues of events and status updates: a change must hold for
/// ``HoldTimes``, and of a volume that changes too often only the latest state is reported, at the end of each pause.
///
/// - The counts of volumes by health show the driver's latest response. Events, the status of claims and the gauges of
///   single claims show what was reported.
/// - A missing volume was held by ``AbsenceGuard`` already; its recovery is held as any other.
/// - Conditions of unknown types, and volumes without a response, are not held.
/// - A new leader counts what earlier ones have reported as reported. It begins its own holds and counts.
extension HealthState {
    /// Reports a state on a claim, unless it has to wait.
    ///
    /// - Parameter observed: all entries of a list count as one observation, made at its beginning.
    mutating func report(
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

    private mutating func queue(_ state: VolumeState, on claim: ClaimNumber, at now: Duration) {
        if !reportedBefore.isEmpty { reportedBefore[claim] = nil }
        let turnsUnhealthy = !state.isClear && events.current(claim)?.isClear != false
        events.set(state, for: claim, at: now)
        if turnsUnhealthy { turnedUnhealthy(claim, at: now) }
        setStatus(state, for: claim, at: now)
    }

    /// Reports what has waited for the end of a pause, and ends the flapping of volumes that have been quiet.
    mutating func endPauses(at now: Duration) {
        guard let due = flaps.firstDue, due <= now else { return }
        let release = flaps.release(at: now)
        for (claim, state) in release.states { queue(state, on: claim, at: now) }
        for claim in release.ended { flapEvents.remove(claim) }
    }

    /// Whether no change is held back.
    var holdsBackNothing: Bool { holds.isEmpty && flaps.flappingKeys.isEmpty }

    /// The latest state of the claim's volume, if it is held back.
    func heldBack(on claim: ClaimNumber) -> VolumeState? { holds[claim] ?? flaps.waiting(claim) }

    /// The claims with a change that is held back, and those that are flapping.
    var claimsHeldBack: [ClaimNumber] { Array(holds.keys) + Array(flaps.flappingKeys) }

    /// The latest state that the driver has reported in this term; nil when it is unknown, or healthy and reported.
    func driverState(on claim: ClaimNumber) -> VolumeState? { heldBack(on: claim) ?? events.current(claim) }

    /// Whether the claim's volume was reported in the state with this fingerprint, or is about to be.
    func isReportedOrHeldBack(_ fingerprint: Fingerprint, on claim: ClaimNumber) -> Bool {
        events.fingerprint(claim) == fingerprint || heldBack(on: claim)?.fingerprint == fingerprint
    }

    mutating func removeHeldBack(on claim: ClaimNumber) {
        holds.remove(claim)
        flaps.remove(claim)
        flapEvents.remove(claim)
    }

    /// The next event on a claim whose volume is flapping. Record it, then call ``complete(flappingEvent:_:at:)`` in any
    /// case.
    package mutating func nextFlappingEvent(
        at now: Duration
    ) -> NextStep<PendingReport<ClaimNumber, FlappingState, Claim>> {
        flapEvents.next(at: now, target: index.claim)
    }

    /// Completes an event; returns as ``complete(event:_:at:)``.
    @discardableResult
    package mutating func complete(
        flappingEvent event: PendingReport<ClaimNumber, FlappingState, Claim>,
        _ outcome: ReportOutcome,
        at now: Duration
    ) -> Bool {
        flapEvents.complete(event, outcome, at: now)
    }

    /// The claims whose volumes are flapping.
    package var flappingClaims: [ClaimKey] { flaps.flappingKeys.compactMap { index.claim($0)?.key } }
}
