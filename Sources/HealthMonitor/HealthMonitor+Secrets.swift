// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Logging
import VolumeHealth

extension HealthMonitor {
    /// What the driver wants with a call on this volume.
    ///
    /// - Throws: `KubernetesError` when the Secret cannot be read; the call is not made then.
    func secrets(ofVolumeHandle handle: String, _ state: MonitorState) async throws -> [String: String] {
        guard configuration.volumeSecrets != .none,
            let name = state.withHealthState({ $0.secret(ofVolumeHandle: handle) })
        else { return [:] }
        return try await volumeSecrets.secrets(for: name)
    }

    /// What the driver wants with a list: a list is about all volumes, so it takes the Secret that all of them name.
    /// Where they name several, the list goes without.
    func listSecrets(_ state: MonitorState) async throws -> [String: String] {
        guard configuration.volumeSecrets != .none, let name = state.withHealthState({ $0.commonSecret }) else {
            return [:]
        }
        return try await volumeSecrets.secrets(for: name)
    }
}
