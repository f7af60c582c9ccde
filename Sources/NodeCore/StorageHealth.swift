// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

package import HealthCore

/// The health of a driver's storage as this node reaches it: NodeGetStorageHealth of CSI 1.13.
package struct StorageHealth: Reportable, Hashable {
    package enum Status: Sendable, Hashable, Comparable {
        /// A type that this version does not know. Never health.
        case unknown(Int)
        case degraded
        case unreachable

        /// As in `CSINode.status.storageHealth`.
        package var name: String {
            switch self {
            case .unknown: "Unknown"
            case .degraded: "StorageDegraded"
            case .unreachable: "StorageUnreachable"
            }
        }
    }

    package struct Condition: Sendable, Hashable {
        package var status: Status
        package var reason: String
        package var message: String

        /// With ``HealthCore/VolumeHealthCondition/texts(reason:message:)``.
        package init(status: Status, reason: String, message: String) {
            self.status = status
            (self.reason, self.message) = VolumeHealthCondition.texts(reason: reason, message: message)
        }
    }

    /// The worst first, one for each status and reason, at most 16; empty: the storage is healthy.
    package let conditions: [Condition]

    /// - Parameter conditions: in any order, with duplicates: the driver distinguishes them by volume capability.
    package init(_ conditions: [Condition]) {
        var kept: [Condition] = []
        for condition in conditions.sorted(by: Self.precedes)
        where !kept.contains(where: { $0.status == condition.status && $0.reason == condition.reason }) {
            kept.append(condition)
        }
        self.conditions = Array(kept.prefix(VolumeHealthReport.maximumConditions))
    }

    private static func precedes(_ left: Condition, _ right: Condition) -> Bool {
        (right.status, left.reason, left.message) < (left.status, right.reason, right.message)
    }

    package static let healthy = StorageHealth([])

    package var isClear: Bool { conditions.isEmpty }

    package var fingerprint: Fingerprint { Fingerprint(conditions.map { "\($0.status)/\($0.reason)" }.sorted()) }

    /// All conditions in one text, the worst first.
    package var summary: String {
        conditions.map { condition in
            let name = "\(condition.status.name) (\(condition.reason))"
            return condition.message.isEmpty ? name : "\(name): \(condition.message)"
        }.joined(separator: "; ")
    }
}

/// A call of NodeGetStorageHealth.
package struct StorageProbe: Sendable, Hashable {
    package var driver: String
    var connection: Int
}

/// The result of a StorageProbe.
package enum StorageProbeOutcome: Sendable, Hashable {
    case health(StorageHealth)
    case failed(NodeProbeFailure)
}
