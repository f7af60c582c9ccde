// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import CSISpec

/// A capability of the node service that matters for probing volumes, by its number in
/// `NodeServiceCapability.RPC.Type`.
package enum NodeCapability: Int, Sendable, Hashable {
    /// STAGE_UNSTAGE_VOLUME: volumes have a staging path beside their publish paths.
    case stageUnstageVolume = 1
    /// GET_VOLUME_STATS: NodeGetVolumeStats.
    case getVolumeStats = 2
    /// VOLUME_CONDITION: NodeGetVolumeStats reports a volume's condition (CSI 1.3 to 1.12).
    case volumeCondition = 4
    /// GET_VOLUME_HEALTH: NodeGetVolumeHealth (CSI 1.13 and later).
    case getVolumeHealth = 7
    /// GET_STORAGE_HEALTH: NodeGetStorageHealth (CSI 1.13 and later).
    case getStorageHealth = 8

    init?(_ type: CSINodeServiceCapability.RPC.TypeEnum) { self.init(rawValue: type.rawValue) }
}
