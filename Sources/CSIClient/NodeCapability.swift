// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import CSISpec

/// A capability of the node service that matters for probing volumes.
package enum NodeCapability: Sendable, Hashable {
    /// STAGE_UNSTAGE_VOLUME: volumes have a staging path beside their publish paths.
    case stageUnstageVolume
    /// GET_VOLUME_STATS: NodeGetVolumeStats.
    case getVolumeStats
    /// VOLUME_CONDITION: NodeGetVolumeStats reports a volume's condition (CSI 1.3 to 1.12).
    case volumeCondition
    /// GET_VOLUME_HEALTH: NodeGetVolumeHealth (CSI 1.13 and later).
    case getVolumeHealth
    /// GET_STORAGE_HEALTH: NodeGetStorageHealth (CSI 1.13 and later).
    case getStorageHealth

    init?(_ type: CSINodeServiceCapability.RPC.TypeEnum) {
        switch type {
        case .stageUnstageVolume: self = .stageUnstageVolume
        case .getVolumeStats: self = .getVolumeStats
        case .volumeCondition: self = .volumeCondition
        case .getVolumeHealth: self = .getVolumeHealth
        case .getStorageHealth: self = .getStorageHealth
        case .unknown, .UNRECOGNIZED: return nil
        }
    }
}
