// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Logging
import VolumeHealth

extension HealthMonitor {
    /// After a sweep: one line when another number of volumes than before has a status and reason.
    func logChanges(_ state: MonitorState) {
        let counts = state.withHealthState { $0.unhealthyCounts }
        guard state.exchange(counts: counts) != counts else { return }
        logger.notice("Volume health changed", metadata: counts.metadata)
    }
}

extension UnhealthyCounts {
    /// For the log: how many claims, and which conditions they have, the most frequent first.
    var metadata: Logger.Metadata {
        let sorted = conditions.sorted { left, right in
            (-left.value, left.key.status.rawValue, left.key.reason)
                < (-right.value, right.key.status.rawValue, right.key.reason)
        }
        let texts = sorted.prefix(5).map { "\($0.key.status.rawValue) (\($0.key.reason)): \($0.value)" }
        var metadata: Logger.Metadata = ["unhealthy": .stringConvertible(claims)]
        if !texts.isEmpty { metadata["conditions"] = "\(texts.joined(separator: ", "))" }
        if sorted.count > texts.count { metadata["otherConditions"] = .stringConvertible(sorted.count - texts.count) }
        return metadata
    }
}
