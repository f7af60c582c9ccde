// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import VolumeHealth

extension HealthMonitor {
    /// What the driver wants with a call on this volume.
    func secrets(ofVolumeHandle handle: String, _ state: MonitorState) async throws -> [String: String] {
        [:]
    }

    /// What the driver wants with a list.
    func listSecrets(_ state: MonitorState) async throws -> [String: String] {
        [:]
    }
}
