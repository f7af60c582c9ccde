// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

package import HealthCore

/// When a claim's health is shown as a condition in `status.conditions`.
package enum ClaimConditionPolicy: String, Sendable, Hashable, CaseIterable {
    /// While the API server does not keep `status.healthStatus`.
    case auto
    /// On every API server.
    case always
    /// On none; a condition that an earlier process has set is removed.
    case never
}

/// The condition of a PersistentVolumeClaim that says how its volume is: of type ``type``, status `True` while nothing is
/// wrong and `False` otherwise.
///
/// Source: `PersistentVolumeClaimCondition` of core/v1. The API server keeps conditions of any type.
package struct ClaimCondition: Sendable, Hashable {
    /// The type of ours; no other is read or written.
    package static let type = "csi-health-monitor/VolumeHealthy"
    /// The reason of a healthy one.
    package static let healthyReason = "VolumeConditionNormal"
    /// How long a healthy one stays on the claim.
    package static let retention = Duration.seconds(24 * 60 * 60)
    private static let maximumMessageBytes = 32 * 1024

    /// `True` or `False`.
    package var isHealthy: Bool
    /// Of an unhealthy one, the reason of the worst condition.
    package var reason: String
    /// Of an unhealthy one, everything that is wrong, worst first.
    package var message: String

    /// The condition that says this.
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

/// What is remembered of a ``ClaimCondition`` that stands on a claim.
package struct ShownCondition: Sendable, Hashable {
    /// Whether its status is `True`.
    package var isHealthy: Bool
    /// `lastTransitionTime`, in seconds since 1970.
    package var transition: Int64
    private var reason: Fingerprint
    private var message: Fingerprint

    /// A condition as the API server has it.
    ///
    /// - Parameters:
    ///   - status: what is not `True` counts as unhealthy.
    ///   - transition: `lastTransitionTime`, in seconds since 1970.
    package init(status: String, reason: String, message: String, transition: Int64) {
        isHealthy = status == "True"
        self.transition = transition
        self.reason = Fingerprint([status, reason])
        self.message = Fingerprint([message])
    }

    /// How much of this state it says.
    func match(_ state: VolumeState) -> Match {
        let condition = ClaimCondition(state)
        guard isHealthy == condition.isHealthy else { return .otherState }
        if isHealthy { return .all }
        guard reason == Fingerprint(["False", condition.reason]) else { return .otherState }
        return message == Fingerprint([condition.message]) ? .all : .otherMessage
    }

    enum Match: Sendable {
        case all
        /// The same reason with another message.
        case otherMessage
        case otherState
    }
}
