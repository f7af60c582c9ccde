// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

package import HealthCore

struct PodName: Sendable, Hashable {
    var namespace: String
    var name: String
}

/// A pod that the watch shows.
struct PodRecord: Sendable {
    var pod: NodePod
    /// The number of the latest list when it was last seen.
    var relist: UInt32
    /// It has ended or is being deleted. It never comes back, even if an older version of it is seen.
    var isOver = false
    /// It was created before this process began to watch: an earlier process may have reported on it.
    var precedesProcess: Bool
    /// Its CSI volumes, as far as they are resolved.
    var volumes: [NodeVolumeKey] = []
    /// Its claims that are not resolved yet.
    var unresolved: Set<ClaimLookup> = []

    var name: PodName { PodName(namespace: pod.namespace, name: pod.name) }
}

/// A claim that pods use.
struct LookupRecord: Sendable {
    /// How recent the resolution is.
    enum Recency: Sendable {
        /// The API server may have responded from a cache that was not up to date.
        case cached
        /// It may be that of an earlier claim of this name, and is read again.
        case doubted
        /// It was read again, not from a cache.
        case latest
    }

    /// The uids of these pods.
    var users: Set<String> = []
    /// The scheduled item; others with this lookup are stale.
    var ticket: DueQueue<ClaimLookup>.Ticket?
    var isUnderWay = false
    /// The users that the read under way was for are gone: its result does not count.
    var isOutdated = false
    var failures = 0
    /// How many reads have found the claim of another pod, or of none.
    var foreignReads = 0
    /// A volume, or no CSI volume: final, unless it is doubted.
    var resolution: ClaimResolution?
    var recency = Recency.cached
}

/// A volume of a pod that is not over.
struct VolumeRecord: Sendable {
    enum Readback: Sendable, Equatable {
        /// Not needed, or completed.
        case done
        /// Needed as soon as the driver has responded for the volume.
        case needed
        case scheduled(DueQueue<NodeVolumeKey>.Ticket)
        case underWay
    }

    /// The driver does not find the volume.
    struct Missing: Sendable {
        /// The connection of the responses that say so.
        var connection: Int
        var since: Duration
        /// How often in a row.
        var count = 1
    }

    let volume: NodeVolume
    let paths: VolumePaths
    /// The pod's names for it.
    var names: Set<String>
    /// nil before the pod has started.
    var probedSince: Duration?
    var readback = Readback.done
    var failedReadbacks = 0
    /// The first response on the present connection was healthy, and it counts only if no earlier process reported the
    /// volume as unhealthy.
    var awaitsReadback = false
    /// nil: the driver has not reported the health of the volume to this process, or not credibly.
    var health: VolumeState?
    var healthSince = Duration.zero
    /// The last response with which the driver has found the volume had no health of a known type.
    var isUnknown = false
    /// The fingerprints of the unknown conditions that were queued.
    var unknownConditions: [Fingerprint] = []
    /// When the driver last found the volume at this path.
    var lastFound: Duration?
    var missing: Missing?
    var lastResponse: Duration?
    /// The connection on which the driver last found the volume.
    var connection = 0
    /// When the first response on that connection came; nil after one with conditions.
    var firstResponse: Duration?
    /// Why the last call failed; nil: it did not, or a broken connection ended it.
    var failure: NodeProbeFailure?
    /// The last call was aborted, and is repeated.
    var wasAborted = false
    /// The connection on which the last call was UNAVAILABLE; nil: it was not.
    var unavailableOn: Int?

    init(_ volume: NodeVolume, _ paths: VolumePaths) {
        self.volume = volume
        self.paths = paths
        names = Set(volume.names)
    }

    /// What reports are made on: the volume with all its names.
    var target: NodeVolume {
        var target = volume
        target.names = names.sorted()
        return target
    }
}

/// Identifies a condition of an unknown type.
package struct UnknownNodeConditionKey: Sendable, Hashable {
    package var volume: NodeVolumeKey
    /// Of the condition.
    package var fingerprint: Fingerprint
}
