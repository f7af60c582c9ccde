// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// What a driver reported of one volume.
///
/// Conditions are normalized for the API server: without duplicates, the worst first, at most ``maximumConditions``.
package struct VolumeHealthReport: Sendable, Hashable {
    /// `spec.csi.volumeHandle` of the PersistentVolume.
    package var volumeHandle: String
    /// Conditions of known types, the worst first.
    package private(set) var conditions: [VolumeHealthCondition] = []
    /// Conditions of types that this version does not know.
    package private(set) var unknownConditions: [UnknownCondition] = []

    /// The API server's limit for one claim.
    package static let maximumConditions = 16

    /// A report on one volume. Without conditions it says explicitly that the volume is healthy.
    package init(
        volumeHandle: String,
        conditions: [VolumeHealthCondition],
        unknownConditions: [UnknownCondition] = []
    ) {
        self.volumeHandle = volumeHandle
        merge(conditions: conditions, unknownConditions: unknownConditions)
    }

    /// Whether the driver says explicitly that the volume is healthy. Conditions of unknown types are not health (rule
    /// 6).
    package var isHealthy: Bool { conditions.isEmpty && unknownConditions.isEmpty }

    /// Adds the conditions of another report of the same sweep on the same volume.
    ///
    /// Pages of one list may repeat a volume and disagree: every condition that any of them has counts.
    package mutating func merge(_ other: VolumeHealthReport) {
        merge(conditions: other.conditions, unknownConditions: other.unknownConditions)
    }

    /// Uses memory only for what is kept, however many conditions a driver sends.
    private mutating func merge(conditions: [VolumeHealthCondition], unknownConditions: [UnknownCondition]) {
        for condition in conditions {
            if let position = self.conditions.firstIndex(where: { $0.identity == condition.identity }) {
                // Of several messages the smallest is kept: a driver that sends them in another order each time reports
                // no change (kubernetes/kubernetes#142280).
                if condition.message.precedes(self.conditions[position].message) {
                    self.conditions[position] = condition
                }
                continue
            }
            let position = self.conditions.firstIndex { condition.isWorse(than: $0) } ?? self.conditions.endIndex
            guard position < Self.maximumConditions else { continue }
            self.conditions.insert(condition, at: position)
            self.conditions.removeLast(max(0, self.conditions.count - Self.maximumConditions))
        }
        for condition in unknownConditions {
            if let position = self.unknownConditions.firstIndex(where: condition.isSame(as:)) {
                if condition.message.precedes(self.unknownConditions[position].message) {
                    self.unknownConditions[position] = condition
                }
                continue
            }
            let position =
                self.unknownConditions.firstIndex(where: condition.precedes) ?? self.unknownConditions.endIndex
            guard position < Self.maximumConditions else { continue }
            self.unknownConditions.insert(condition, at: position)
            self.unknownConditions.removeLast(max(0, self.unknownConditions.count - Self.maximumConditions))
        }
    }
}

extension String {
    /// Compares bytes: unlike the order of characters, theirs is the same in every process.
    fileprivate func precedes(_ other: String) -> Bool { utf8.lexicographicallyPrecedes(other.utf8) }
}

extension VolumeHealthCondition {
    /// The order in which conditions are reported: the worst first, then by reason.
    fileprivate func isWorse(than other: VolumeHealthCondition) -> Bool {
        (other.status, reason) < (status, other.reason)
    }
}

/// A condition of a type that this version does not know: the volume is unhealthy in a way that a newer version may
/// understand.
package struct UnknownCondition: Sendable, Hashable {
    /// The driver's `VolumeHealthErrorType`.
    package let type: Int
    package let reason: String
    package let message: String

    /// Texts are bounded like those of a ``VolumeHealthCondition``.
    package init(type: Int, reason: String, message: String) {
        let condition = VolumeHealthCondition(status: .degraded, reason: reason, message: message)
        self.type = type
        self.reason = condition.reason
        self.message = condition.message
    }

    func isSame(as other: UnknownCondition) -> Bool {
        type == other.type && reason == other.reason
    }

    /// The order in which conditions are kept, which does not depend on the driver's order.
    fileprivate func precedes(_ other: UnknownCondition) -> Bool {
        (type, reason) < (other.type, other.reason)
    }
}

extension UnknownCondition: Reportable {
    /// Never: it is reported once, and there is no recovery from it.
    package var isClear: Bool { false }

    /// The fingerprint of type and reason.
    package var fingerprint: Fingerprint { Fingerprint([String(type), reason]) }
}
