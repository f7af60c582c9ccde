// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

package import HealthCore

/// How many claims have unhealthy volumes, and with which conditions.
package struct UnhealthyCounts: Sendable, Hashable {
    /// Claims.
    package internal(set) var claims = 0
    /// By status and reason; a volume may have several.
    package internal(set) var conditions: [VolumeHealthCondition.Identity: Int] = [:]

    /// None.
    package init() {}
}

extension HealthState {
    /// How many claims have unhealthy volumes, as the driver has said in this term. Takes time in proportion to them.
    package var unhealthyCounts: UnhealthyCounts {
        var counts = UnhealthyCounts()
        for (_, state) in events.unhealthy {
            counts.claims += 1
            for condition in state.conditions { counts.conditions[condition.identity, default: 0] += 1 }
        }
        return counts
    }
}
