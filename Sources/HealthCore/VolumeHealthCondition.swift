// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// One thing that is wrong with a volume.
///
/// Source: `VolumeHealthCondition` of core/v1, `VolumeHealthEntry` of CSI 1.13. A legacy `VolumeCondition` is reported
/// in the same terms, see ``init(abnormalMessage:)``.
package struct VolumeHealthCondition: Sendable, Hashable {
    /// How bad it is, from bad to worst.
    package enum Status: String, Sendable, Hashable, Comparable, CaseIterable {
        /// The volume works, but not as it should.
        case degraded = "Degraded"
        /// The data is there and cannot be reached.
        case inaccessible = "Inaccessible"
        /// Data is gone.
        case dataLoss = "DataLoss"

        /// From bad to worst.
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

    /// What makes two conditions the same condition, whatever their messages say.
    package struct Identity: Sendable, Hashable {
        /// How bad it is.
        package var status: Status
        /// The driver's word for it.
        package var reason: String
    }

    /// How bad it is.
    package var status: Status
    /// The driver's word for it, made for machines: `VolumeNotFound`. Not empty, at most ``maximumReasonBytes``.
    package let reason: String
    /// The driver's sentence, made for people. At most ``maximumMessageBytes``.
    package let message: String

    /// A condition in the words of CSI 1.13. An empty reason becomes ``unspecifiedReason``; texts that are too long for
    /// the API server are cut, so that a driver's long texts cost neither memory nor a refused write.
    package init(status: Status, reason: String, message: String) {
        self.status = status
        self.reason = reason.isEmpty ? Self.unspecifiedReason : bounded(reason, toBytes: Self.maximumReasonBytes)
        self.message = bounded(message, toBytes: Self.maximumMessageBytes)
    }

    /// A legacy driver's abnormal `VolumeCondition` (CSI 1.3 to 1.12), which knows neither status nor reason.
    package init(abnormalMessage message: String) {
        self.init(status: .degraded, reason: Self.legacyReason, message: message)
    }

    /// The driver does not find the volume any more.
    package static func notFound(volumeHandle: String) -> VolumeHealthCondition {
        VolumeHealthCondition(
            status: .inaccessible,
            reason: "VolumeNotFound",
            message: "The CSI driver does not find the volume \(volumeHandle)"
        )
    }

    /// The reason of every legacy condition.
    package static let legacyReason = "VolumeConditionAbnormal"
    /// The reason of a condition whose driver gives none.
    package static let unspecifiedReason = "Unspecified"
    /// The API server's limit, in bytes of UTF-8.
    package static let maximumReasonBytes = 256
    /// The API server's limit, in bytes of UTF-8.
    package static let maximumMessageBytes = 1024

    /// Status and reason, without the message.
    package var identity: Identity {
        Identity(status: status, reason: reason)
    }
}
