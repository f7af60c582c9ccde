// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

package import HealthCore

/// How many claims have unhealthy volumes, and which conditions these have.
package struct UnhealthyCounts: Sendable, Hashable {
    /// The number of claims.
    package internal(set) var claims = 0
    /// The number of claims by condition; a volume may have several conditions.
    package internal(set) var conditions: [VolumeHealthCondition.Identity: Int] = [:]

    package init() {}
}

extension HealthState {
    /// Counts the claims whose volumes the driver has reported as unhealthy in this term. O(n).
    package var unhealthyCounts: UnhealthyCounts {
        var counts = UnhealthyCounts()
        for (_, state) in events.unhealthy {
            counts.claims += 1
            for condition in state.conditions { counts.conditions[condition.identity, default: 0] += 1 }
        }
        return counts
    }
}
