// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

package import HealthCore

/// Whether the driver responds to health calls for a claim's volume.
package struct ResponseState: Reportable {
    /// It has not responded for longer than ``HealthState/Configuration/unresponsiveAfter``.
    package var isUnresponsive: Bool

    package var isClear: Bool { !isUnresponsive }

    package var fingerprint: Fingerprint { Fingerprint([isUnresponsive ? "unanswered" : "answered"]) }

    static let unresponsive = ResponseState(isUnresponsive: true)
    static let responsive = ResponseState(isUnresponsive: false)
}

/// Claims whose volumes' health is unknown because calls for these volumes keep failing, where volumes are probed one
/// by one.
///
/// - A claim is reported when its volume has had no response for the limit and for five intervals, its last call has
///   failed since the driver responds, and the driver has responded for another volume within the last two intervals:
///   where it responds for none, the fault is the driver's, not the volume's. The only volume of a driver is reported all
///   the same.
/// - Any response for the volume ends it, NOT_FOUND too.
/// - What was reported outlives a term (rule 9): only a response ends it, not a new leader.
extension HealthState {
    /// Reviews, once per interval, which volumes are without a response.
    mutating func reviewResponses(at now: Duration) {
        guard let limit = configuration.unresponsiveAfter, probesEveryVolume, let probes else { return }
        if let last = responsesReviewedAt, now - last < probes.interval { return }
        responsesReviewedAt = now
        guard probes.count == 1 || probes.hasResponses(within: probes.effectiveInterval * 2, at: now) else { return }
        for volume in probes.failing(for: max(limit, probes.effectiveInterval * 5), at: now) {
            guard let handle = index.number(ofVolumeHandle: volume) else { continue }
            for claim in index.claims(of: handle) { responses.set(.unresponsive, for: claim, at: now) }
        }
    }

    /// The driver has responded for this volume.
    mutating func responded(for handle: HandleNumber, at now: Duration) {
        guard !responses.isEmpty else { return }
        for claim in index.claims(of: handle) { responses.set(.responsive, for: claim, at: now) }
    }

    /// An earlier process reported that the driver does not respond for the claim's volume, and not yet that it
    /// responds again.
    package mutating func restoreUnresponsive(claimUID: String, key: ClaimKey, reportedAt time: Duration) {
        guard let claim = index.number(at: key), index.uid(of: claim) == claimUID, index.hasVolume(claim) else {
            return
        }
        responses.restore(reported: ResponseState.unresponsive.fingerprint, for: claim, reportedAt: time)
    }

    /// The next event on a claim whose volume's health is unknown, or is known again. Record it, then call
    /// ``complete(responseEvent:_:at:)`` in any case.
    package mutating func nextResponseEvent(
        at now: Duration
    ) -> NextStep<PendingReport<ClaimNumber, ResponseState, Claim>> {
        responses.next(at: now, target: index.claim)
    }

    /// An event was recorded, as ``recorded(event:count:at:)``.
    package mutating func recorded(
        responseEvent event: PendingReport<ClaimNumber, ResponseState, Claim>,
        count: Int,
        at now: Duration
    ) {
        responses.recorded(event, count: count, at: now)
    }

    /// Completes an event; returns as ``complete(event:_:at:)``.
    @discardableResult
    package mutating func complete(
        responseEvent event: PendingReport<ClaimNumber, ResponseState, Claim>,
        _ outcome: ReportOutcome,
        at now: Duration
    ) -> Bool {
        responses.complete(event, settled(outcome, of: event.key, event.target), at: now)
    }
}
