// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

package import HealthCore

/// When the health of a claim's volume is shown as a condition in `status.conditions`: `--claim-condition`.
package enum ClaimConditionPolicy: String, Sendable, Hashable, CaseIterable {
    /// While the API server does not keep `status.healthStatus`.
    case auto
    /// On every API server.
    case always
    /// Never. A condition that an earlier process has set is removed.
    case never
}

/// The condition of type ``type`` of a PersistentVolumeClaim: status `True` while its volume is healthy, `False`
/// otherwise.
///
/// Source: `PersistentVolumeClaimCondition` of core/v1. The API server keeps conditions of any type.
package struct ClaimCondition: Sendable, Hashable {
    /// Conditions of other types are neither read nor written.
    package static let type = "csi-health-monitor/VolumeHealthy"
    /// The reason while the volume is healthy.
    package static let healthyReason = EventVocabulary.normalReason
    /// How long the condition stays on the claim after the volume has recovered.
    package static let retention = Duration.seconds(24 * 60 * 60)
    /// The limit that `metav1.Condition` has.
    private static let maximumMessageBytes = 32 * 1024

    /// Whether the status is `True`.
    package var isHealthy: Bool
    /// The reason of the worst condition of an unhealthy volume, otherwise ``healthyReason``.
    package var reason: String
    /// All conditions of an unhealthy volume, the worst first, otherwise a constant text.
    package var message: String

    /// The condition that shows this state.
    package init(_ state: VolumeState) {
        let conditions = state.conditions
        isHealthy = state.isClear
        reason = conditions.first?.reason ?? Self.healthyReason
        message =
            state.isClear
            ? "The volume has returned to the healthy state"
            : bounded(conditions.summary, toBytes: Self.maximumMessageBytes)
    }
}

/// A ``ClaimCondition`` in a claim's status, reduced to what is compared: fingerprints take the place of the texts.
package struct ShownCondition: Sendable, Hashable {
    /// Whether the status is `True`.
    package var isHealthy: Bool
    /// `lastTransitionTime`, in seconds since 1970.
    package var transition: Int64
    /// Of status and reason.
    private var reason: Fingerprint
    private var message: Fingerprint

    /// A condition as the API server shows it.
    ///
    /// - Parameters:
    ///   - status: every value except `True` counts as unhealthy.
    ///   - transition: `lastTransitionTime`, in seconds since 1970.
    package init(status: String, reason: String, message: String, transition: Int64) {
        isHealthy = status == "True"
        self.transition = transition
        self.reason = Fingerprint([status, reason])
        self.message = Fingerprint([message])
    }

    /// Compares the condition with the one that shows this state. Of a healthy one the texts do not matter.
    func match(_ state: VolumeState) -> Match {
        let condition = ClaimCondition(state)
        guard isHealthy == condition.isHealthy else { return .otherState }
        if isHealthy { return .all }
        guard reason == Fingerprint(["False", condition.reason]) else { return .otherState }
        return message == Fingerprint([condition.message]) ? .all : .otherMessage
    }

    enum Match: Sendable {
        /// The condition shows the state.
        case all
        /// The reason matches, the message does not.
        case otherMessage
        case otherState
    }
}
