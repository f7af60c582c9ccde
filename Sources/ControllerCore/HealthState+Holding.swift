// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

package import HealthCore

/// What `HealthState+Reporting.swift` holds back, and the events on flapping volumes.
extension HealthState {
    /// Whether no change is held back.
    var holdsBackNothing: Bool { holds.isEmpty && !flaps.isFlapping }

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
        flapEvents.complete(event, settled(outcome, of: event.key, event.target), at: now)
    }

    /// The claims whose volumes are flapping.
    package var flappingClaims: [ClaimKey] { flaps.flappingKeys.compactMap { index.claim($0)?.key } }
}
