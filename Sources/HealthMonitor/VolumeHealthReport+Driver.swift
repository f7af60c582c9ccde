// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

package import CSIClient
package import VolumeHealth

extension VolumeHealthReport {
    /// In legacy terms; nil when the driver said nothing of the volume's condition.
    package init?(_ volume: DriverVolume) {
        guard let condition = volume.condition else { return nil }
        self.init(
            volumeHandle: volume.id,
            conditions: condition.isAbnormal ? [VolumeHealthCondition(abnormalMessage: condition.message)] : []
        )
    }

    /// In the terms of CSI 1.13.
    ///
    /// - Parameter observer: reported what is odd about it.
    package init(_ health: DriverVolumeHealth, observer: (MonitorObservation) -> Void) {
        var conditions: [VolumeHealthCondition] = []
        var unknownConditions: [UnknownCondition] = []
        for entry in health.entries {
            if entry.reason.isEmpty { observer(.unspecifiedReason) }
            let status: VolumeHealthCondition.Status
            switch entry.status {
            case .degraded: status = .degraded
            case .inaccessible: status = .inaccessible
            case .dataLoss: status = .dataLoss
            case .unknown(let type):
                observer(.unknownCondition(type: type))
                unknownConditions.append(UnknownCondition(type: type, reason: entry.reason, message: entry.message))
                continue
            }
            conditions.append(VolumeHealthCondition(status: status, reason: entry.reason, message: entry.message))
        }
        self.init(volumeHandle: health.id, conditions: conditions, unknownConditions: unknownConditions)
    }
}
