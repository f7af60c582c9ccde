// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

package import HealthCore

/// The state of the monitor on a node, for all drivers of the node: takes pods, claims and the drivers' responses, and
/// returns what to do next.
///
/// Pure and deterministic: time is passed in as a `Duration` since any fixed moment of a monotonic clock, randomness as
/// a seed. Every `next…` returns one step, or the moment before which nothing is due; the caller completes every step
/// by its `complete…`, whatever the outcome. One driver, volume, claim or namespace does not hold up another.
///
/// | Steps | Calls |
/// |---|---|
/// | claims to read | `nextClaim`, `complete(lookup:)` in `NodeHealthState+Resolution.swift` |
/// | volumes to probe, by driver | `nextProbe`, `complete(probe:)` in `NodeHealthState+Probing.swift` |
/// | events to read back | `nextReadback`, `complete(readback:)` in `NodeHealthState+Readback.swift` |
/// | events to record | `nextEvent`, `nextFlappingEvent`, `nextUnknownEvent` in `NodeHealthState+Reporting.swift` |
/// | readiness conditions to write | `nextReadiness` in `NodeHealthState+Readiness.swift` |
/// | storage probes and their events | `nextStorageProbe`, `nextStorageEvent` in `NodeHealthState+Storage.swift` |
///
/// The rules by number are those of docs/architecture.md, "The contract".
package struct NodeHealthState: Sendable {
    /// What is probed and reported, and how often.
    package struct Configuration: Sendable, Hashable {
        /// `--root-dir` of the kubelet, as a path on the host.
        package var kubeletRoot: String
        /// The time from one probe of a volume to its next; greater than zero.
        package var interval: Duration
        /// The maximum of concurrent calls to one driver.
        package var workerThreads: Int
        /// Whether volumes that a driver does not find any more are reported.
        package var reportsMissingVolumes: Bool
        /// Whether readiness conditions are written.
        package var writesReadiness: Bool
        /// Whether a legacy abnormal condition makes a readiness condition False.
        package var legacyConditionsCount: Bool
        /// Whether events on the health of a driver's storage are recorded on the Node.
        package var recordsStorageEvents: Bool
        /// When a volume changes too often.
        package var flapping: FlappingLimits
        /// How long after a volume has turned unhealthy that is reported, and how long after the watch of pods is open
        /// again.
        package var reportDelay: Duration

        package init(
            kubeletRoot: String = "/var/lib/kubelet",
            interval: Duration = .seconds(60),
            workerThreads: Int = 10,
            reportsMissingVolumes: Bool = true,
            writesReadiness: Bool = false,
            legacyConditionsCount: Bool = false,
            recordsStorageEvents: Bool = false,
            flapping: FlappingLimits = FlappingLimits(threshold: 6),
            reportDelay: Duration = .zero
        ) {
            self.kubeletRoot = kubeletRoot
            self.interval = interval
            self.workerThreads = max(1, workerThreads)
            self.reportsMissingVolumes = reportsMissingVolumes
            self.writesReadiness = writesReadiness
            self.legacyConditionsCount = legacyConditionsCount
            self.recordsStorageEvents = recordsStorageEvents
            self.flapping = flapping
            self.reportDelay = reportDelay
        }
    }

    let configuration: Configuration
    var random: SeededRandom

    /// Pods of this node by uid, those that are over included until the watch removes them.
    var pods: [String: PodRecord] = [:]
    /// The uid of the pod that has a name now.
    var uids: [PodName: String] = [:]
    var relist: UInt32 = 0
    /// The first list of pods is complete: pods that appear later have not started before this process.
    var isListed = false

    var lookups: [ClaimLookup: LookupRecord] = [:]
    var dueLookups = DueQueue<ClaimLookup>()

    var volumes: [NodeVolumeKey: VolumeRecord] = [:]
    var drivers: [String: DriverProbes] = [:]
    /// How many connections of drivers there have been.
    var connections = 0
    var probePlans: UInt64 = 0

    var dueReadbacks = DueQueue<NodeVolumeKey>()

    var events = ReportQueue<NodeVolumeKey, VolumeState, NodeVolume>(timing: .lastingEvents)
    var eventHold = EventHold()
    var newConditions: NewConditions
    var podWatch: PodWatchSettling
    var flaps: FlapGuard<NodeVolumeKey, VolumeState>
    var flapEvents = ReportQueue<NodeVolumeKey, FlappingState, NodeVolume>(timing: .flapping)
    var unknowns = ReportQueue<UnknownNodeConditionKey, UnknownCondition, NodeVolume>(timing: .singleEvents)
    var readiness = ReportQueue<ReadinessKey, ReadinessCondition, NodePodTarget>(timing: .readinessConditions)
    var storageEvents = ReportQueue<String, StorageHealth, NodeTarget>(timing: .lastingEvents)

    /// Knows no pods and no drivers yet.
    ///
    /// - Parameter seed: of the delays that spread calls and events: another one on each node and in each process.
    package init(configuration: Configuration = Configuration(), seed: UInt64) {
        self.configuration = configuration
        random = SeededRandom(seed: seed)
        newConditions = NewConditions(delay: configuration.reportDelay)
        podWatch = PodWatchSettling(delay: configuration.reportDelay)
        flaps = FlapGuard(configuration.flapping)
    }

    /// How often each kind of step was scheduled: compared before and after a change, to wake up the task that waits
    /// for it. While a number is unchanged, there is no new step of its kind.
    package struct Plans: Sendable, Hashable {
        package var claims: UInt64
        package var probes: UInt64
        package var readbacks: UInt64
        package var events: UInt64
        package var flappingEvents: UInt64
        package var unknownEvents: UInt64
        package var readiness: UInt64
        package var storageEvents: UInt64
    }

    package var plans: Plans {
        Plans(
            claims: dueLookups.insertions,
            probes: probePlans,
            readbacks: dueReadbacks.insertions,
            events: events.plans + flaps.plans + newConditions.plans + podWatch.openings,
            flappingEvents: flapEvents.plans + podWatch.openings,
            unknownEvents: unknowns.plans + podWatch.openings,
            readiness: readiness.plans,
            storageEvents: storageEvents.plans
        )
    }

    /// The driver, which exists as soon as a volume of it or a connection to it does.
    func driver(_ name: String) -> DriverProbes {
        drivers[name] ?? DriverProbes(configuration: configuration)
    }

    /// A random delay.
    mutating func delay(_ range: Range<Duration>) -> Duration {
        let part = Double.random(in: 0..<1, using: &random)
        return range.lowerBound + (range.upperBound - range.lowerBound) * part
    }
}

extension ReportTiming {
    /// Written when status or reason change, and kept by the API server: nothing is refreshed.
    fileprivate static let readinessConditions = ReportTiming(refreshInterval: nil, messageInterval: nil)
}

/// SplitMix64: Sebastiano Vigna, https://prng.di.unimi.it/splitmix64.c (public domain).
struct SeededRandom: RandomNumberGenerator, Sendable {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var value = state
        value = (value ^ (value >> 30)) &* 0xbf58_476d_1ce4_e5b9
        value = (value ^ (value >> 27)) &* 0x94d0_49bb_1331_11eb
        return value ^ (value >> 31)
    }
}
