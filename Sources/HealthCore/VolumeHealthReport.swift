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

    private mutating func merge(conditions: [VolumeHealthCondition], unknownConditions: [UnknownCondition]) {
        for condition in conditions { Self.insert(condition, into: &self.conditions) }
        for condition in unknownConditions { Self.insert(condition, into: &self.unknownConditions) }
    }

    /// Inserts a condition in its place. Uses memory only for what is kept, however many conditions a driver sends.
    private static func insert<Condition: OrderedCondition>(_ condition: Condition, into kept: inout [Condition]) {
        if let position = kept.firstIndex(where: { $0.isSame(as: condition) }) {
            // Of several messages the smallest is kept: a driver that sends them in another order each time reports no
            // change (kubernetes/kubernetes#142280). Bytes are compared, because `<` of String treats canonically
            // equivalent texts as equal, so the driver's order would decide.
            if condition.message.utf8.lexicographicallyPrecedes(kept[position].message.utf8) {
                kept[position] = condition
            }
            return
        }
        let position = kept.firstIndex { condition.precedes($0) } ?? kept.endIndex
        guard position < maximumConditions else { return }
        kept.insert(condition, at: position)
        kept.removeLast(max(0, kept.count - maximumConditions))
    }
}

/// A condition of a report, which has no two that are the same.
private protocol OrderedCondition {
    var message: String { get }

    /// Whether both have the same status or type, and the same reason; their messages may differ (rule 6).
    func isSame(as other: Self) -> Bool

    /// The order in a report, which does not depend on the driver's.
    func precedes(_ other: Self) -> Bool
}

extension VolumeHealthCondition: OrderedCondition {
    fileprivate func isSame(as other: Self) -> Bool { identity == other.identity }

    /// The worst first, then by reason.
    fileprivate func precedes(_ other: Self) -> Bool { (other.status, reason) < (status, other.reason) }
}

extension UnknownCondition: OrderedCondition {
    fileprivate func isSame(as other: Self) -> Bool { (type, reason) == (other.type, other.reason) }

    fileprivate func precedes(_ other: Self) -> Bool { (type, reason) < (other.type, other.reason) }
}

/// A condition of a type that this version does not know: the volume is unhealthy in a way that a newer version may
/// understand.
package struct UnknownCondition: Sendable, Hashable {
    /// The driver's `VolumeHealthErrorType`.
    package let type: Int
    package let reason: String
    package let message: String

    /// With ``VolumeHealthCondition/texts(reason:message:)``.
    package init(type: Int, reason: String, message: String) {
        self.type = type
        (self.reason, self.message) = VolumeHealthCondition.texts(reason: reason, message: message)
    }
}

extension UnknownCondition: Reportable {
    /// Never: it is reported once, and there is no recovery from it.
    package var isClear: Bool { false }

    /// The fingerprint of type and reason.
    package var fingerprint: Fingerprint { Fingerprint([String(type), reason]) }
}
