// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import CSISpec

/// Who the driver is and what it can do, as it says itself.
package struct DriverIdentity: Sendable, Hashable {
    /// The driver's name: `spec.csi.driver` of its PersistentVolumes.
    package var name: String
    /// Any text; for people.
    package var vendorVersion: String
    /// Which controller RPCs it has.
    package var controllerCapabilities: Set<ControllerCapability>
}

/// A controller RPC, or something that one does, as far as it decides how volumes are probed.
package enum ControllerCapability: Sendable, Hashable {
    /// LIST_VOLUMES: ListVolumes.
    case listVolumes
    /// VOLUME_CONDITION: ListVolumes and ControllerGetVolume report a volume's condition (CSI 1.3 to 1.12).
    case volumeCondition
    /// GET_VOLUME: ControllerGetVolume.
    case getVolume
    /// GET_VOLUME_HEALTH: ControllerGetVolumeHealth (CSI 1.13 and later).
    case getVolumeHealth
    /// LIST_VOLUME_HEALTH: ControllerListVolumeHealth (CSI 1.13 and later). The specification requires
    /// GET_VOLUME_HEALTH with it.
    case listVolumeHealth

    init?(_ type: CSIControllerServiceCapability.RPC.TypeEnum) {
        switch type {
        case .listVolumes: self = .listVolumes
        case .volumeCondition: self = .volumeCondition
        case .getVolume: self = .getVolume
        case .getVolumeHealth: self = .getVolumeHealth
        case .listVolumeHealth: self = .listVolumeHealth
        case .unknown, .UNRECOGNIZED: return nil
        }
    }
}

/// A volume as ListVolumes or ControllerGetVolume reports it.
package struct DriverVolume: Sendable, Hashable {
    /// The volume's identity for the driver: `spec.csi.volumeHandle` of its PersistentVolume.
    package var id: String
    /// nil when the driver said nothing of it, which is not the same as being well.
    package var condition: Condition?

    /// A legacy `VolumeCondition`.
    package struct Condition: Sendable, Hashable {
        /// Something is wrong.
        package var isAbnormal: Bool
        /// What, in the driver's words.
        package var message: String
    }
}
