// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

package import HealthCore

/// The words that people's alerts look for, as EHM coined them.
package enum EventVocabulary {
    /// Event source component of the controller side: `csi-pv-monitor-controller-DRIVER`.
    package static func component(driverName: String) -> String {
        "csi-pv-monitor-controller-\(driverName)"
    }

    /// Warning: something is wrong with the volume.
    package static let abnormalReason = "VolumeConditionAbnormal"
    /// Normal: nothing is wrong with it any more.
    static let normalReason = "VolumeConditionNormal"
    /// Warning: the driver says something that we do not understand.
    static let unknownReason = "UnknownVolumeHealthCondition"
    /// Warning: the driver does not respond to health calls for the volume.
    static let unansweredReason = "VolumeHealthUnknown"
    /// Normal: it does again.
    static let answeredReason = "VolumeHealthKnown"

    /// Warning, on the CSIDriver: so many volumes are missing at once that none is reported.
    static let volumesVanishedReason = "VolumesVanished"
    /// Normal, on the CSIDriver: that has ended.
    static let volumesFoundReason = "VolumesFound"

    /// The message of ``normalReason``.
    static let normalMessage = "The Volume returns to the healthy state"

    /// The message of ``unansweredReason``.
    static let unansweredMessage =
        "The CSI driver does not respond to health calls for this volume, its health is unknown"
    /// The message of ``answeredReason``.
    static let answeredMessage = "The CSI driver responds to health calls for this volume again"

    /// The message of ``abnormalReason``: all that is wrong, worst first. A legacy condition is the driver's own words.
    package static func abnormalMessage(_ conditions: [VolumeHealthCondition]) -> String {
        conditions.summary
    }

    /// The message of ``unknownReason``.
    package static func unknownMessage(_ condition: UnknownCondition) -> String {
        let type = "Unknown health type \(condition.type) (\(condition.reason))"
        return condition.message.isEmpty ? type : "\(type): \(condition.message)"
    }
}
