// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// The RPC that reports the health of a driver's volumes on a node.
package enum NodeProbeStrategy: Sendable, Hashable {
    /// NodeGetVolumeHealth of CSI 1.13.
    case health
    /// The `volume_condition` of NodeGetVolumeStats, CSI 1.3 to 1.12.
    case legacy
    /// The driver reports no health.
    case none
}

/// What a driver's node service can do.
///
/// | Capability | Meaning |
/// |---|---|
/// | 7 GET_VOLUME_HEALTH | NodeProbeStrategy/health |
/// | 4 VOLUME_CONDITION, without 7 | NodeProbeStrategy/legacy |
/// | neither | NodeProbeStrategy/none |
/// | 1 STAGE_UNSTAGE_VOLUME | needsStagingPath |
/// | 8 GET_STORAGE_HEALTH | reportsStorageHealth |
package struct NodeCapabilities: Sendable, Hashable {
    package var strategy: NodeProbeStrategy
    /// NodeGetVolumeHealth takes the staging path too.
    package var needsStagingPath: Bool
    /// NodeGetStorageHealth.
    package var reportsStorageHealth: Bool

    package init(strategy: NodeProbeStrategy, needsStagingPath: Bool = false, reportsStorageHealth: Bool = false) {
        self.strategy = strategy
        self.needsStagingPath = needsStagingPath
        self.reportsStorageHealth = reportsStorageHealth
    }

    /// - Parameter numbers: the values of `NodeServiceCapability.RPC.Type` that the driver returned.
    package init(numbers: some Sequence<Int>) {
        let numbers = Set(numbers)
        self.init(
            strategy: numbers.contains(7) ? .health : numbers.contains(4) ? .legacy : .none,
            needsStagingPath: numbers.contains(1),
            reportsStorageHealth: numbers.contains(8)
        )
    }
}
