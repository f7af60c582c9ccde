// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

package import HealthCore

/// Identifies an unknown condition of a claim.
package struct UnknownConditionKey: Sendable, Hashable {
    package var claim: ClaimNumber
    /// The fingerprint of its ``HealthCore/UnknownCondition``.
    package var fingerprint: Fingerprint
}
