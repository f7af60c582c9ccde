// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import NodeCore
import NodeMonitor

/// The values that the agent's metrics show at a scrape.
struct AgentSnapshot: Sendable {
    /// As `/readyz` reports it.
    var isUp: Bool
    /// The time since the last event, bookmark or reopening of the watch of pods; nil before the first list is complete.
    var watchSilence: Duration?
    /// Each RBAC rule that was found missing, and whether it still is.
    var rules: [(rule: String, isMissing: Bool)] = []
    /// The drivers that are monitored, one for each name.
    var drivers: [NodeMonitorStatus.Driver] = []
    /// nil before the monitor has started.
    var health: NodeHealthSnapshot?
}
