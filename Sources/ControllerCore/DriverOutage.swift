// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

package import HealthCore

/// An outage of the driver: many of its volumes are unhealthy together.
package struct DriverOutage: Sendable, Hashable {
    /// How many volumes have a condition of this status and reason.
    package struct ConditionCount: Sendable, Hashable {
        package var identity: VolumeHealthCondition.Identity
        package var volumes: Int
    }

    /// When its first volume turned unhealthy, as far as is known, on the clock of the core.
    package var since: Duration
    /// How many volumes are unhealthy.
    package var unhealthy: Int
    /// How many volumes claims use.
    package var volumes: Int
    /// The most frequent (status, reason), at most ``maximumConditions``; a volume may have several.
    package var conditions: [ConditionCount]
    /// How many other (status, reason) there are.
    package var otherConditions: Int
    /// What most of the unhealthy volumes have in common and the others do not: at most a StorageClass and a topology
    /// segment.
    package var common: [CommonPlacement]

    static var maximumConditions: Int { 3 }
}

extension DriverOutage {
    /// - Parameters:
    ///   - conditions: how many volumes have each (status, reason).
    ///   - placements: the volumes in use, by placement.
    init(
        since: Duration,
        unhealthy: Int,
        volumes: Int,
        conditions: [VolumeHealthCondition.Identity: Int],
        placements: [PlacementCount]
    ) {
        let sorted = conditions.map { ConditionCount(identity: $0.key, volumes: $0.value) }.sorted { left, right in
            if left.volumes != right.volumes { return left.volumes > right.volumes }
            if left.identity.status != right.identity.status { return left.identity.status > right.identity.status }
            return left.identity.reason < right.identity.reason
        }
        self.init(
            since: since,
            unhealthy: unhealthy,
            volumes: volumes,
            conditions: Array(sorted.prefix(Self.maximumConditions)),
            otherConditions: max(0, sorted.count - Self.maximumConditions),
            common: CommonPlacement.named(in: placements)
        )
    }
}

/// What is reported on the outage of a driver.
package enum OutageState: Reportable {
    case lasting(DriverOutage)
    /// It has ended. `unhealthy` of the `volumes` in use are still unhealthy.
    case ended(lasted: Duration, unhealthy: Int, volumes: Int)

    package var isClear: Bool { if case .ended = self { true } else { false } }

    /// Whatever the numbers say, an outage is one fact.
    package var fingerprint: Fingerprint { Self.lastingFingerprint }

    static let lastingFingerprint = Fingerprint(["outage"])
}

/// What is reported about the driver, not about one of its volumes.
package enum DriverFact: Sendable, Hashable {
    case outage
}

/// The CSIDriver object, as the target of an event.
package struct DriverTarget: ReportTarget {
    /// The namespace of events on cluster-scoped objects.
    package static let namespace = "default"

    package var namespace: String { Self.namespace }
}

/// How many volumes in use have a placement.
struct PlacementCount: Sendable, Hashable {
    var placement: VolumePlacement
    var unhealthy = 0
    /// The unhealthy ones included.
    var volumes = 0
}
