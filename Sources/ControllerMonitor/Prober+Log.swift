// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import CSIClient
import ControllerCore
import HealthCore
import KubernetesClient
import Logging

/// The counts of a sweep, for the log.
struct SweepSummary {
    var volumes = 0
    var abnormal = 0
    var withoutHealth = 0
}

/// What is logged about lists, and what of it was logged before.
extension Prober {
    /// Whether no list has failed for this cause since the last complete list. The readiness check `last-sweep` repeats
    /// a lasting failure.
    private func isFirstSinceCompleteList(_ failure: any Error) -> Bool {
        let cause =
            switch failure {
            case let failure as CSIError: "\(failure.code)"
            case let failure as KubernetesError: "Secret: \(failure.code)"
            default: "\(failure)"
            }
        return withTerm { $0.loggedListFailures.insert(cause).inserted }
    }

    func log(_ problem: ListProblem?, canConfirm: Bool) {
        var metadata: Logger.Metadata = ["method": "ListVolumes"]
        if canConfirm { metadata["fallback"] = "ControllerGetVolume" }
        switch problem {
        case nil:
            context.logger.notice("The driver's list of volumes is usable again", metadata: metadata)
        case .noConditions:
            context.logger.warning("The driver's list of volumes has no volume conditions", metadata: metadata)
        case .foreignIDs(let volumeID, let volumeHandle):
            metadata["volumeID"] = "\(volumeID)"
            metadata["volumeHandle"] = "\(volumeHandle)"
            context.logger.warning(
                "The driver's list has no volume of any of its PersistentVolumes",
                metadata: metadata
            )
        }
    }

    func log(_ summary: SweepSummary, absent: Int, failure: (any Error)?, duration: Duration) {
        var metadata: Logger.Metadata = [
            "volumes": .stringConvertible(summary.volumes),
            "abnormal": .stringConvertible(summary.abnormal),
            "duration": .stringConvertible(duration),
        ]
        if let failure {
            metadata["err"] = "\(failure)"
            context.logger.log(
                level: isFirstSinceCompleteList(failure) ? .error : .debug,
                failure is KubernetesError
                    ? "Failed to get the Secret for the list of volumes, retrying"
                    : "Failed to list volumes, retrying",
                metadata: metadata
            )
        } else {
            withTerm { $0.loggedListFailures = [] }
            if absent > 0 { metadata["absent"] = .stringConvertible(absent) }
            context.logger.debug("Listed all volumes", metadata: metadata)
        }
        let isPartial = summary.withoutHealth > 0 && summary.withoutHealth < summary.volumes
        if failure == nil, setListsSomeWithoutCondition(isPartial), isPartial {
            context.logger.warning(
                "The driver lists volumes without a volume condition, which its capabilities promise",
                metadata: [
                    "withoutCondition": .stringConvertible(summary.withoutHealth),
                    "volumes": .stringConvertible(summary.volumes),
                ]
            )
        }
    }

    /// Stores the problem of the list. Returns whether its kind has changed.
    func setListProblem(_ new: ListProblem?) -> Bool {
        withTerm { term in
            defer { term.listProblem = new }
            switch (term.listProblem, new) {
            case (nil, nil), (.noConditions, .noConditions), (.foreignIDs, .foreignIDs): return false
            default: return true
            }
        }
    }

    /// Stores whether some volumes are listed without a condition. Returns whether this has changed.
    private func setListsSomeWithoutCondition(_ new: Bool) -> Bool {
        withTerm { term in
            defer { term.listsSomeWithoutCondition = new }
            return term.listsSomeWithoutCondition != new
        }
    }
}

extension UnhealthyCounts {
    /// The number of claims, and their conditions, the most frequent first.
    var metadata: Logger.Metadata {
        let sorted = conditions.sorted { left, right in
            (-left.value, left.key.status.rawValue, left.key.reason)
                < (-right.value, right.key.status.rawValue, right.key.reason)
        }
        let texts = sorted.prefix(5).map { "\($0.key.status.rawValue) (\($0.key.reason)): \($0.value)" }
        var metadata: Logger.Metadata = ["unhealthy": .stringConvertible(claims)]
        if !texts.isEmpty { metadata["conditions"] = "\(texts.joined(separator: ", "))" }
        if sorted.count > texts.count { metadata["otherConditions"] = .stringConvertible(sorted.count - texts.count) }
        return metadata
    }
}
