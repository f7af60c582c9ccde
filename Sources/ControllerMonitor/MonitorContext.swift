// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import CSIClient
import HealthRuntime
import KubernetesClient
import Logging

/// What the parts of the monitor share.
struct MonitorContext: Sendable {
    let configuration: MonitorConfiguration
    let driver: CSIClient
    let kubernetes: KubernetesClient
    let time: ElapsedTime
    let gate: LeadershipGate
    let logger: Logger
    let observer: @Sendable (MonitorObservation) -> Void
    let dependencies: DependencyTracker
    let state: SharedHealthState

    var now: Duration { time.now }
}
