// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

package import CSIClient
package import HealthCore

extension VolumeHealthReport {
    /// Converts a legacy driver's response; nil without a volume condition.
    package init?(_ volume: DriverVolume) {
        guard let condition = volume.condition else { return nil }
        self.init(
            volumeHandle: volume.id,
            conditions: condition.isAbnormal ? [VolumeHealthCondition(abnormalMessage: condition.message)] : []
        )
    }

    /// Converts a response of CSI 1.13.
    ///
    /// - Parameter observer: called for each condition of an unknown type or without a reason.
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
