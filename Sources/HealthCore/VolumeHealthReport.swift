// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// What a driver said of one volume.
///
/// Conditions are in the form in which they can be reported: without duplicates, worst first, at most as many as the API
/// server takes.
package struct VolumeHealthReport: Sendable, Hashable {
    /// The volume's identity for the driver: `spec.csi.volumeHandle` of its PersistentVolume.
    package var volumeHandle: String
    /// All that is wrong, as far as we know the words for it.
    package private(set) var conditions: [VolumeHealthCondition] = []
    /// What is wrong in words that we do not know.
    package private(set) var unknownConditions: [UnknownCondition] = []

    /// The API server's limit for the conditions of one claim.
    package static let maximumConditions = 16

    /// A report on one volume. Without any condition it is an explicit "nothing is wrong".
    package init(
        volumeHandle: String,
        conditions: [VolumeHealthCondition],
        unknownConditions: [UnknownCondition] = []
    ) {
        self.volumeHandle = volumeHandle
        merge(conditions: conditions, unknownConditions: unknownConditions)
    }

    /// An explicit "nothing is wrong". Conditions that we do not understand are not health.
    package var isHealthy: Bool { conditions.isEmpty && unknownConditions.isEmpty }

    /// Adds what another answer of the same sweep says of the same volume.
    ///
    /// Pages of one list may repeat a volume and disagree: whatever any of them says is wrong, is wrong.
    package mutating func merge(_ other: VolumeHealthReport) {
        merge(conditions: other.conditions, unknownConditions: other.unknownConditions)
    }

    /// However much a driver says, it costs no more than what is kept of it.
    private mutating func merge(conditions: [VolumeHealthCondition], unknownConditions: [UnknownCondition]) {
        for condition in conditions {
            if let position = self.conditions.firstIndex(where: { $0.identity == condition.identity }) {
                // Of several messages the smallest is kept: a driver that gives them in another order each time has
                // changed nothing (kubernetes/kubernetes#142280).
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
    /// By bytes: another order than that of characters, and one that is the same everywhere.
    fileprivate func precedes(_ other: String) -> Bool { utf8.lexicographicallyPrecedes(other.utf8) }
}

extension VolumeHealthCondition {
    /// In the order in which conditions are reported: worst first, and by their reasons.
    fileprivate func isWorse(than other: VolumeHealthCondition) -> Bool {
        (other.status, reason) < (status, other.reason)
    }
}

/// A condition whose type is none that we know: something is wrong, and a newer monitor may know what.
package struct UnknownCondition: Sendable, Hashable {
    /// The number that the driver sent as `VolumeHealthErrorType`.
    package let type: Int
    /// The driver's word for it.
    package let reason: String
    /// The driver's sentence.
    package let message: String

    /// A condition of an unknown type; texts are bounded as those of a ``VolumeHealthCondition`` are.
    package init(type: Int, reason: String, message: String) {
        let condition = VolumeHealthCondition(status: .degraded, reason: reason, message: message)
        self.type = type
        self.reason = condition.reason
        self.message = condition.message
    }

    func isSame(as other: UnknownCondition) -> Bool {
        type == other.type && reason == other.reason
    }

    /// In the order in which conditions are kept, which does not depend on the driver's.
    fileprivate func precedes(_ other: UnknownCondition) -> Bool {
        (type, reason) < (other.type, other.reason)
    }
}
