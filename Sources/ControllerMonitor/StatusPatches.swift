// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import ControllerCore
package import HealthCore
package import KubernetesAPI
package import KubernetesClient

extension MergePatch {
    /// Replaces the conditions of `status.healthStatus`, or removes it; the API server rejects it when the claim is
    /// another one or was changed. Without `transition`, in seconds since 1970, `lastTransitionTime` stays.
    package static func healthStatus(
        _ conditions: [HealthCore.VolumeHealthCondition],
        uid: String,
        resourceVersion: String,
        transition: Int64?
    ) -> MergePatch {
        var healthStatus: MergePatch.Value = nil
        if !conditions.isEmpty {
            let list = MergePatch.Value.array(
                conditions.map { condition in
                    [
                        "status": .string(condition.status.rawValue),
                        "reason": .string(condition.reason),
                        "message": .string(condition.message),
                    ]
                }
            )
            healthStatus =
                if let transition {
                    ["healthConditions": list, "lastTransitionTime": .string(EventRecord.timestamp(transition))]
                } else {
                    ["healthConditions": list]
                }
        }
        return [
            "metadata": ["uid": .string(uid), "resourceVersion": .string(resourceVersion)],
            "status": ["healthStatus": healthStatus],
        ]
    }

    /// A strategic merge patch that sets or removes the condition of type ``ControllerCore/ClaimCondition/type`` in
    /// `status.conditions`, whose elements are merged by `type`. The API server rejects it when the claim is another
    /// one or was changed.
    ///
    /// - Parameters:
    ///   - transition: `lastTransitionTime` of a change of the condition's status, in seconds since 1970.
    ///   - now: `lastProbeTime`, in seconds since 1970.
    static func condition(
        _ change: StatusChange.Condition,
        of claim: Claim,
        transition: Int64,
        now: Int64
    ) -> MergePatch {
        let element: MergePatch.Value
        switch change {
        case .remove:
            element = ["$patch": "delete", "type": .string(ClaimCondition.type)]
        case .set(let condition, let isTransition):
            var members: [(String, MergePatch.Value)] = [
                ("type", .string(ClaimCondition.type)),
                ("status", condition.isHealthy ? "True" : "False"),
                ("reason", .string(condition.reason)),
                ("message", .string(condition.message)),
                ("lastProbeTime", .string(EventRecord.timestamp(now))),
            ]
            if isTransition { members.append(("lastTransitionTime", .string(EventRecord.timestamp(transition)))) }
            element = .object(MergePatch(members))
        }
        return [
            "metadata": ["uid": .string(claim.uid), "resourceVersion": .string(claim.resourceVersion)],
            "status": ["conditions": [element]],
        ]
    }
}

extension VolumeHealthStatus {
    /// The conditions as the core defines them. One with an unknown status, which only another program can have
    /// written, is left out.
    package var conditions: [HealthCore.VolumeHealthCondition] {
        healthConditions.compactMap { .init(status: $0.status, reason: $0.reason, message: $0.message) }
    }
}

extension HealthCore.VolumeHealthCondition {
    /// nil when the status is unknown.
    init?(status: String, reason: String, message: String) {
        guard let status = Status(rawValue: status) else { return nil }
        self.init(status: status, reason: reason, message: message)
    }
}
