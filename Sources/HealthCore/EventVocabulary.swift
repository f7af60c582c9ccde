// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// The components, reasons and messages of events, for the code that records events and the code that reads them back.
/// Alerts match them, so those that external-health-monitor (EHM) has too are the same byte for byte.
package enum EventVocabulary {
    /// The source component of the controller's events begins so, and ends in the driver's name.
    package static let controllerPrefix = "csi-pv-monitor-controller-"
    /// The source component of the agent's events begins so, and ends in the driver's name.
    package static let agentPrefix = "csi-pv-monitor-agent-"

    package static func controllerComponent(driverName: String) -> String { controllerPrefix + driverName }
    package static func agentComponent(driverName: String) -> String { agentPrefix + driverName }

    /// Warning: the volume is unhealthy.
    package static let abnormalReason = "VolumeConditionAbnormal"
    /// Normal: the volume has recovered.
    package static let normalReason = "VolumeConditionNormal"
    /// Warning: the driver reports a condition of an unknown type.
    package static let unknownReason = "UnknownVolumeHealthCondition"
    /// Warning: the driver does not respond to health calls for the volume.
    package static let healthUnknownReason = "VolumeHealthUnknown"
    /// Normal: the driver responds again.
    package static let healthKnownReason = "VolumeHealthKnown"
    /// Warning: the health of the volume changes so often that only some changes are reported.
    package static let flappingReason = "VolumeHealthFlapping"

    /// Warning, on the CSIDriver: so many volumes are missing at once that none is reported.
    package static let volumesVanishedReason = "VolumesVanished"
    /// Normal, on the CSIDriver: the volumes were found again, or are reported missing by now.
    package static let volumesFoundReason = "VolumesFound"

    /// Warning, on the CSIDriver: so many volumes have turned unhealthy at once that it is a fact about the driver.
    package static let outageReason = "DriverOutage"
    /// Normal, on the CSIDriver: the outage has ended.
    package static let outageEndedReason = "DriverOutageEnded"

    /// The message of ``normalReason``.
    package static let normalMessage = "The Volume returns to the healthy state"

    /// The message of ``healthUnknownReason``.
    package static let healthUnknownMessage =
        "The CSI driver does not respond to health calls for this volume, its health is unknown"
    /// The message of ``healthKnownReason``.
    package static let healthKnownMessage = "The CSI driver responds to health calls for this volume again"

    /// The message of ``abnormalReason``: all conditions, the worst first. A legacy condition is the driver's message
    /// alone.
    package static func abnormalMessage(_ conditions: [VolumeHealthCondition]) -> String {
        conditions.summary
    }

    /// The message of ``flappingReason``.
    ///
    /// - Parameters:
    ///   - since: RFC 3339.
    ///   - conditions: as the driver last reported them.
    package static func flappingMessage(
        changes: Int,
        since: String,
        conditions: [VolumeHealthCondition]
    ) -> String {
        "The volume's health has changed \(changes) times since \(since): until it has not changed for an hour, changes "
            + "are reported at most every 10 minutes. Now: \(conditions.isEmpty ? "healthy" : conditions.summary)"
    }

    /// The message of ``unknownReason``.
    package static func unknownMessage(_ condition: UnknownCondition) -> String {
        let type = "Unknown health type \(condition.type) (\(condition.reason))"
        return condition.message.isEmpty ? type : "\(type): \(condition.message)"
    }
}
