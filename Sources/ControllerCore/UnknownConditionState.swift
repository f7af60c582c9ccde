// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

package import HealthCore

/// A condition of an unknown type, reported once for each type and reason.
package struct UnknownConditionState: Reportable {
    package var condition: UnknownCondition

    /// Never: it is reported once, and there is no recovery from it.
    package var isClear: Bool { false }

    /// The fingerprint of type and reason.
    package var fingerprint: Fingerprint {
        Fingerprint([String(condition.type), condition.reason])
    }
}

/// Identifies an unknown condition of a claim.
package struct UnknownConditionKey: Sendable, Hashable {
    package var claim: ClaimNumber
    /// The fingerprint of its ``UnknownConditionState``.
    package var fingerprint: Fingerprint
}
