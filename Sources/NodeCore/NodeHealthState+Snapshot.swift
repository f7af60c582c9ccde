// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

package import HealthCore

/// What metrics and the health page show.
package struct NodeHealthSnapshot: Sendable, Hashable {
    /// The volumes of a driver. The first four add up to all volumes.
    package struct Counts: Sendable, Hashable {
        package var healthy = 0
        package var unhealthy = 0
        /// The pod has started, and the health of the volume is unknown: no response yet, none with a condition of a
        /// known type, the driver reports no health, or the last call failed or the driver is not connected and the
        /// volume is not known to be unhealthy. A driver that does not find the volume counts so until it is believed.
        package var unknown = 0
        /// The pod has not started.
        package var waiting = 0
        /// Volumes whose last call had no response; counted above too.
        package var unresponsive = 0
        /// Volumes that are probed less often because calls for them had no response in time; counted above too.
        package var backingOff = 0
    }

    package struct UnhealthyVolume: Sendable, Hashable {
        package var volume: NodeVolume
        /// The worst first.
        package var conditions: [VolumeHealthCondition]
        /// Since when the set of (status, reason) is unchanged, as far as this process knows, on the clock of the core.
        package var since: Duration
    }

    package struct UnresponsiveVolume: Sendable, Hashable {
        package var volume: NodeVolume
        /// The time since the driver last responded for the volume, or since its first probe was due.
        package var age: Duration
    }

    package struct Driver: Sendable, Hashable {
        package var name: String
        package var isConnected: Bool
        /// Whether it reports the health of volumes; nil until its capabilities are known.
        package var isSupported: Bool?
        package var isHanging: Bool
        package var problem: NodeDriverProblem?
        package var counts: Counts
        /// nil: not reported, or the driver does not report it.
        package var storage: StorageHealth?
    }

    /// Those that are registered, by name.
    package var drivers: [Driver]
    package var unhealthy: [UnhealthyVolume]
    package var unresponsive: [UnresponsiveVolume]
    /// Volumes that change so often that not every change is reported.
    package var flapping: [NodeVolume] = []
    /// Claims of pods whose volume is not known yet.
    package var unresolvedClaims: Int
    /// Pods of the node that are not over.
    package var pods: Int
}

extension NodeHealthState {
    /// The present state. O(n).
    package func snapshot(at now: Duration) -> NodeHealthSnapshot {
        var counts: [String: NodeHealthSnapshot.Counts] = [:]
        var unhealthy: [NodeHealthSnapshot.UnhealthyVolume] = []
        var unresponsive: [NodeHealthSnapshot.UnresponsiveVolume] = []
        for (key, record) in volumes.sorted(by: { $0.value.precedes($1.value) }) {
            let driver = record.volume.driver
            // A driver that cannot report health is not called for its volumes: that a call had no response is over.
            let isProbed = drivers[driver]?.isSupported != false
            let isUnresponsive = isProbed && record.failure == .deadlineExceeded
            counts[driver, default: .init()].count(
                record,
                isReachable: drivers[driver]?.isConnected != false,
                isUnresponsive: isUnresponsive,
                isBackingOff: isProbed && drivers[driver]?.isBackingOff(key) == true
            )
            if let health = record.health, !health.isClear {
                // The event of an earlier process may be older.
                let since = min(record.healthSince, events.since(key) ?? record.healthSince)
                unhealthy.append(.init(volume: record.target, conditions: health.conditions, since: since))
            }
            if isUnresponsive {
                let last = record.lastResponse ?? record.probedSince ?? now
                unresponsive.append(.init(volume: record.target, age: max(.zero, now - last)))
            }
        }
        let flapping = flaps.flappingKeys.compactMap { volumes[$0] }.sorted { $0.precedes($1) }
        return NodeHealthSnapshot(
            drivers: drivers.filter(\.value.isRegistered).sorted { $0.key < $1.key }.map { name, driver in
                NodeHealthSnapshot.Driver(
                    name: name,
                    isConnected: driver.isConnected,
                    isSupported: driver.isSupported,
                    isHanging: driver.isHanging,
                    problem: driver.paths.isSuspect ? .pathsNotFound(kubeletRoot: configuration.kubeletRoot) : nil,
                    counts: counts[name] ?? .init(),
                    storage: driver.storage.health
                )
            },
            unhealthy: unhealthy,
            unresponsive: unresponsive,
            flapping: flapping.map(\.target),
            unresolvedClaims: lookups.values.count { $0.resolution == nil && !$0.users.isEmpty },
            pods: pods.values.count { !$0.isOver }
        )
    }
}

extension NodeHealthSnapshot.Counts {
    fileprivate mutating func count(
        _ record: VolumeRecord,
        isReachable: Bool,
        isUnresponsive: Bool,
        isBackingOff: Bool
    ) {
        if record.probedSince == nil {
            waiting += 1
        } else if let health = record.health, !health.isClear {
            unhealthy += 1
        } else if record.health != nil, !record.isUnknown, record.failure == nil, isReachable {
            healthy += 1
        } else {
            unknown += 1
        }
        if isUnresponsive { unresponsive += 1 }
        if isBackingOff { backingOff += 1 }
    }
}

extension VolumeRecord {
    fileprivate func precedes(_ other: VolumeRecord) -> Bool {
        (volume.namespace, volume.podName, volume.key.volume) < (
            other.volume.namespace, other.volume.podName, other.volume.key.volume
        )
    }
}
