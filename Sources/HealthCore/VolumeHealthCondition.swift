// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// One way in which a volume is unhealthy.
///
/// Source: `VolumeHealthCondition` of core/v1, `VolumeHealthEntry` of CSI 1.13. ``init(abnormalMessage:)`` maps a
/// legacy `VolumeCondition` to it.
package struct VolumeHealthCondition: Sendable, Hashable {
    /// The severity, in increasing order.
    package enum Status: String, Sendable, Hashable, Comparable, CaseIterable {
        /// The volume works, with limitations.
        case degraded = "Degraded"
        /// The data exists but cannot be accessed.
        case inaccessible = "Inaccessible"
        /// Data is lost.
        case dataLoss = "DataLoss"

        /// By severity.
        package static func < (left: Self, right: Self) -> Bool {
            left.severity < right.severity
        }

        private var severity: Int {
            switch self {
            case .degraded: 0
            case .inaccessible: 1
            case .dataLoss: 2
            }
        }
    }

    /// Conditions with the same identity are the same condition, whatever their messages (rule 6).
    package struct Identity: Sendable, Hashable {
        package var status: Status
        /// The driver's machine-readable reason.
        package var reason: String
    }

    package let status: Status
    /// The driver's machine-readable reason, such as `VolumeNotFound`. Not empty, at most ``maximumReasonBytes``.
    package let reason: String
    /// The driver's human-readable message. At most ``maximumMessageBytes``.
    package let message: String

    /// A condition as CSI 1.13 defines it; its texts are kept as ``texts(reason:message:)`` returns them.
    package init(status: Status, reason: String, message: String) {
        self.status = status
        (self.reason, self.message) = Self.texts(reason: reason, message: message)
    }

    /// The texts of a driver as they are kept: an empty reason becomes ``unspecifiedReason``; texts that are too long for
    /// the API server are truncated, so that they cost neither memory nor a refused write.
    package static func texts(reason: String, message: String) -> (reason: String, message: String) {
        (
            reason: reason.isEmpty ? unspecifiedReason : bounded(reason, toBytes: maximumReasonBytes),
            message: bounded(message, toBytes: maximumMessageBytes)
        )
    }

    /// A legacy driver's abnormal `VolumeCondition` (CSI 1.3 to 1.12), which has neither status nor reason.
    package init(abnormalMessage message: String) {
        self.init(status: .degraded, reason: Self.legacyReason, message: message)
    }

    /// The driver no longer finds the volume.
    package static func notFound(volumeHandle: String) -> VolumeHealthCondition {
        VolumeHealthCondition(
            status: .inaccessible,
            reason: "VolumeNotFound",
            message: "The CSI driver does not find the volume \(volumeHandle)"
        )
    }

    /// The reason of every legacy condition.
    package static let legacyReason = "VolumeConditionAbnormal"
    /// The reason of a condition for which the driver gives none.
    package static let unspecifiedReason = "Unspecified"
    /// The API server's limit, in bytes of UTF-8.
    package static let maximumReasonBytes = 256
    /// The API server's limit, in bytes of UTF-8.
    package static let maximumMessageBytes = 1024

    package var identity: Identity {
        Identity(status: status, reason: reason)
    }
}
