// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// One thing that is wrong with a volume.
///
/// Source: `VolumeHealthCondition` of core/v1, `VolumeHealthEntry` of CSI 1.13. A legacy `VolumeCondition` is told
/// in the same terms, see ``init(abnormalMessage:)``.
public struct VolumeHealthCondition: Sendable, Hashable {
    /// How bad it is, from bad to worst.
    public enum Status: String, Sendable, Hashable, Comparable, CaseIterable {
        /// The volume works, but not as it should.
        case degraded = "Degraded"
        /// The data is there and cannot be reached.
        case inaccessible = "Inaccessible"
        /// Data is gone.
        case dataLoss = "DataLoss"

        /// From bad to worst.
        public static func < (left: Self, right: Self) -> Bool {
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
    public struct Identity: Sendable, Hashable {
        /// How bad it is.
        public var status: Status
        /// The driver's word for it.
        public var reason: String
    }

    /// How bad it is.
    public var status: Status
    /// The driver's word for it, made for machines: `VolumeNotFound`.
    public var reason: String
    /// The driver's sentence, made for people. Any text of any length: whoever writes it somewhere bounds it.
    public var message: String

    /// A condition in the words of CSI 1.13.
    public init(status: Status, reason: String, message: String) {
        self.status = status
        self.reason = reason
        self.message = message
    }

    /// A legacy driver's abnormal `VolumeCondition` (CSI 1.3 to 1.12), which knows neither status nor reason.
    public init(abnormalMessage message: String) {
        self.init(status: .degraded, reason: Self.legacyReason, message: message)
    }

    /// The reason of every legacy condition.
    public static let legacyReason = "VolumeConditionAbnormal"

    /// Status and reason, without the message.
    public var identity: Identity {
        Identity(status: status, reason: reason)
    }
}

/// What a driver said of one volume, in one answer.
public struct VolumeHealthReport: Sendable, Hashable {
    /// The volume's identity for the driver: `spec.csi.volumeHandle` of its PersistentVolume.
    public var volumeHandle: String
    /// All that is wrong; empty is an explicit "nothing".
    public var conditions: [VolumeHealthCondition]

    /// A report on one volume.
    public init(volumeHandle: String, conditions: [VolumeHealthCondition]) {
        self.volumeHandle = volumeHandle
        self.conditions = conditions
    }

    /// Adds what another answer of the same sweep says of the same volume.
    ///
    /// Pages of one list may repeat a volume and disagree: whatever any of them says is wrong, is wrong.
    mutating func merge(_ conditions: [VolumeHealthCondition]) {
        for condition in conditions where !self.conditions.contains(where: { $0.identity == condition.identity }) {
            self.conditions.append(condition)
        }
    }
}
