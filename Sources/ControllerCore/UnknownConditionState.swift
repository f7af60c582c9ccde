// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

package import HealthCore

/// A condition of an unknown type, reported once for each type and reason.
package struct UnknownConditionState: Reportable {
    package var condition: UnknownCondition

    /// It is reported once; there is no recovery from it.
    package var isClear: Bool { false }

    /// Of type and reason.
    package var fingerprint: Fingerprint {
        Fingerprint([String(condition.type), condition.reason])
    }
}

/// Names an unknown condition of a claim.
package struct UnknownConditionKey: Sendable, Hashable {
    package var claim: ClaimNumber
    /// Of its ``UnknownConditionState``.
    package var fingerprint: Fingerprint
}
