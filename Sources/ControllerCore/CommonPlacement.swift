// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// What the unhealthy volumes of an outage have in common: a StorageClass or a topology segment.
///
/// It is named where it explains the outage: at least 90 percent of the unhealthy volumes have it, and at most two thirds
/// of the others. What almost every volume of the driver has, or what all have when none is healthy, says nothing.
package struct CommonPlacement: Sendable, Hashable {
    package enum Attribute: Sendable, Hashable {
        case storageClass(String)
        case segment(TopologySegment)
    }

    package var attribute: Attribute
    /// How many of the unhealthy volumes have it.
    package var unhealthy: Int
    /// How many unhealthy volumes there are.
    package var total: Int

    /// The StorageClass and the topology segment that explain the outage best: those that the fewest other volumes have,
    /// then those that the most unhealthy ones have, then the first by name. So of a region and a zone within it, both of
    /// which explain it, the zone is named. O(n) for n placements.
    static func named(in counts: [PlacementCount]) -> [CommonPlacement] {
        let unhealthy = counts.reduce(0) { $0 + $1.unhealthy }
        let healthy = counts.reduce(0) { $0 + $1.volumes } - unhealthy
        var classes: [String: Tally] = [:]
        var segments: [TopologySegment: Tally] = [:]
        for count in counts {
            let tally = Tally(unhealthy: count.unhealthy, healthy: count.volumes - count.unhealthy)
            let storageClass = count.placement.storageClass
            if !storageClass.isEmpty { classes[storageClass, default: Tally()].add(tally) }
            for segment in count.placement.segments { segments[segment, default: Tally()].add(tally) }
        }
        func best<Name: Comparable>(of tallies: [Name: Tally]) -> (name: Name, tally: Tally)? {
            tallies.filter { $0.value.explains(unhealthy: unhealthy, healthy: healthy) }.min { left, right in
                (left.value.healthy, right.value.unhealthy, left.key) < (
                    right.value.healthy, left.value.unhealthy, right.key
                )
            }.map { ($0.key, $0.value) }
        }
        func common(_ attribute: Attribute, _ tally: Tally) -> CommonPlacement {
            CommonPlacement(attribute: attribute, unhealthy: tally.unhealthy, total: unhealthy)
        }
        return [
            best(of: classes).map { common(.storageClass($0.name), $0.tally) },
            best(of: segments).map { common(.segment($0.name), $0.tally) },
        ].compactMap(\.self)
    }

    private struct Tally {
        var unhealthy = 0
        var healthy = 0

        mutating func add(_ other: Tally) {
            unhealthy += other.unhealthy
            healthy += other.healthy
        }

        /// - Parameters:
        ///   - unhealthy: how many unhealthy volumes there are.
        ///   - healthy: how many others there are.
        func explains(unhealthy: Int, healthy: Int) -> Bool {
            healthy > 0 && self.unhealthy > 0 && self.unhealthy * 10 >= unhealthy * 9 && self.healthy * 3 <= healthy * 2
        }
    }
}
