// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import CSISpec

/// A capability of the controller service that matters for probing volumes.
package enum ControllerCapability: Sendable, Hashable {
    /// LIST_VOLUMES: ListVolumes.
    case listVolumes
    /// VOLUME_CONDITION: ListVolumes and ControllerGetVolume report a volume's condition (CSI 1.3 to 1.12).
    case volumeCondition
    /// GET_VOLUME: ControllerGetVolume.
    case getVolume
    /// GET_VOLUME_HEALTH: ControllerGetVolumeHealth (CSI 1.13 and later).
    case getVolumeHealth
    /// LIST_VOLUME_HEALTH: ControllerListVolumeHealth (CSI 1.13 and later). The specification requires it to come with
    /// GET_VOLUME_HEALTH.
    case listVolumeHealth

    /// - Parameter number: a value of `ControllerServiceCapability.RPC.Type`.
    package init?(number: Int) {
        guard let type = CSIControllerServiceCapability.RPC.TypeEnum(rawValue: number) else { return nil }
        self.init(type)
    }

    init?(_ type: CSIControllerServiceCapability.RPC.TypeEnum) {
        switch type {
        case .listVolumes: self = .listVolumes
        case .volumeCondition: self = .volumeCondition
        case .getVolume: self = .getVolume
        case .getVolumeHealth: self = .getVolumeHealth
        case .listVolumeHealth: self = .listVolumeHealth
        case .createDeleteVolume, .unknown, .UNRECOGNIZED: return nil
        }
    }
}
