// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import ControllerMonitor

/// The values that metrics show at a scrape.
struct SidecarSnapshot: Sendable {
    /// The Lease of the leader election.
    struct Lease: Sendable {
        /// `metadata.name`
        var name: String
        /// Whether this replica holds it.
        var isHeld: Bool
    }

    var isDriverConnected: Bool
    /// `vendor_version` of GetPluginInfo.
    var driverVersion = ""
    /// As `/readyz` reports it.
    var isUp = true
    /// For each watch that has started, the time since its last event, bookmark or reopening.
    var watchSilences: [(resource: String, age: Duration)] = []
    /// Each RBAC rule that was found missing, and whether it still is.
    var rules: [(rule: String, isMissing: Bool)] = []
    /// nil without leader election, and before the driver's name is known.
    var lease: Lease?
    /// nil on a standby, which does not know the volumes: its series are absent, so that no volume is counted twice.
    var health: HealthSnapshot?
}
