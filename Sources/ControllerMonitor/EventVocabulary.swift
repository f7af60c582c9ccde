// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

package import HealthCore

/// The reasons and messages of events. Alerts match them: those that external-health-monitor (EHM) has are the same
/// byte for byte.
package enum EventVocabulary {
    /// The source component of the controller's events: `csi-pv-monitor-controller-DRIVER`.
    package static func component(driverName: String) -> String {
        "csi-pv-monitor-controller-\(driverName)"
    }

    /// Warning: the volume is unhealthy.
    package static let abnormalReason = "VolumeConditionAbnormal"
    /// Normal: the volume has recovered.
    static let normalReason = "VolumeConditionNormal"
    /// Warning: the driver reports a condition of an unknown type.
    static let unknownReason = "UnknownVolumeHealthCondition"
    /// Warning: the driver does not respond to health calls for the volume.
    static let unansweredReason = "VolumeHealthUnknown"
    /// Normal: the driver responds again.
    static let answeredReason = "VolumeHealthKnown"

    /// Warning, on the CSIDriver: so many volumes are missing at once that none is reported.
    static let volumesVanishedReason = "VolumesVanished"
    /// Normal, on the CSIDriver: the volumes were found again, or are reported missing by now.
    static let volumesFoundReason = "VolumesFound"

    /// The message of ``normalReason``.
    static let normalMessage = "The Volume returns to the healthy state"

    /// The message of ``unansweredReason``.
    static let unansweredMessage =
        "The CSI driver does not respond to health calls for this volume, its health is unknown"
    /// The message of ``answeredReason``.
    static let answeredMessage = "The CSI driver responds to health calls for this volume again"

    /// The message of ``abnormalReason``: all conditions, the worst first. A legacy condition is the driver's message
    /// alone.
    package static func abnormalMessage(_ conditions: [VolumeHealthCondition]) -> String {
        conditions.summary
    }

    /// The message of ``unknownReason``.
    package static func unknownMessage(_ condition: UnknownCondition) -> String {
        let type = "Unknown health type \(condition.type) (\(condition.reason))"
        return condition.message.isEmpty ? type : "\(type): \(condition.message)"
    }
}
