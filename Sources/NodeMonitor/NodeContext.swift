// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthRuntime
import KubernetesClient
import Logging

/// What the parts of the monitor share.
struct NodeContext: Sendable {
    let configuration: NodeMonitorConfiguration
    /// For the watch, reads and conditions.
    let kubernetes: KubernetesClient
    /// For events, with a rate limit of its own.
    let events: KubernetesClient
    let time: ElapsedTime
    let logger: Logger
    let observer: @Sendable (MonitorObservation) -> Void
    let state: SharedNodeState

    var now: Duration { time.now }
}
