// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

package import HealthCore

/// Identifies an unknown condition of a claim.
package struct UnknownConditionKey: Sendable, Hashable {
    package var claim: ClaimNumber
    /// The fingerprint of its ``HealthCore/UnknownCondition``.
    package var fingerprint: Fingerprint
}

/// Conditions of types that this version does not know: an event for each, and never a change of health (rule 6).
extension HealthState {
    /// How many conditions of unknown types are reported on one claim.
    package static let maximumUnknownConditions = 16

    /// Queues an event for each condition of an unknown type, once for each type and reason. The health of the volume
    /// does not change.
    mutating func setHealth(unknown conditions: [UnknownCondition], of handle: HandleNumber, at now: Duration) {
        guard !conditions.isEmpty else { return }
        for claim in index.claims(of: handle) {
            for condition in conditions {
                let key = UnknownConditionKey(claim: claim, fingerprint: condition.fingerprint)
                if unknowns.contains(key) { continue }
                // Bounded, in case a driver never reports the same condition twice.
                if register(key) { unknowns.set(condition, for: key, at: now) }
            }
        }
    }

    /// Registers an unknown condition of a claim. Returns false when the claim has the maximum of others already.
    private mutating func register(_ key: UnknownConditionKey) -> Bool {
        let known = unknownFingerprints[key.claim, default: []]
        if known.contains(key.fingerprint) { return true }
        guard known.count < Self.maximumUnknownConditions else { return false }
        unknownFingerprints[key.claim, default: []].append(key.fingerprint)
        return true
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
        unknowns.complete(event, settled(outcome, of: event.key.claim, event.target), at: now)
    }
}
