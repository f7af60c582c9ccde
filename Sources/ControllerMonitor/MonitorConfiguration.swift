// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

package import ControllerCore
import HealthCore
import KubernetesClient

/// What to monitor, how often, and what to report.
package struct MonitorConfiguration: Sendable {
    /// The driver whose volumes are monitored: the name that it returned when the lease was chosen.
    package var driverName: String
    /// `reportingInstance` of events.
    package var identity: String
    /// Where volumes are listed: the time from the beginning of one list to that of the next.
    package var listVolumesInterval = Duration.seconds(300)
    /// Where volumes are probed one by one: the time in which each is probed once.
    package var monitorInterval = Duration.seconds(60)
    /// Where the driver has a call for a single volume: the time from the last response for an unhealthy volume to its
    /// next call. Zero, which is the flag's default: a quarter of the interval in which all volumes are listed or
    /// probed. nil, or not shorter than that interval: there are no such calls.
    package var unhealthyInterval: Duration?
    /// The maximum of concurrent calls for single volumes.
    package var workerThreads = 10
    /// The maximum of calls for single volumes that begin per second; nil: no limit.
    package var probesPerSecond: Double?
    /// After what time the absence of many volumes is reported.
    package var missingVolumesHold = Duration.seconds(600)
    /// Whether volumes that the driver does not find are reported.
    package var reportsMissingVolumes = true
    /// How long calls for a volume must fail before an event is recorded on its claim, where volumes are probed one by
    /// one; nil: none is.
    package var unresponsiveAfter: Duration? = .seconds(15 * 60)
    /// When unhealthy volumes are an outage of the driver; nil: none is reported.
    package var outageLimits: OutageLimits? = OutageLimits()
    /// How long a change must have held before it is reported.
    package var holdTimes = HoldTimes()
    /// How often a volume may change within an hour before it is reported as flapping; 0: it never is.
    package var flappingThreshold = 6
    /// Whether conditions of legacy drivers are written to `status.healthStatus` of claims too.
    package var writesLegacyStatus = true
    /// When the status of a claim shows its volume's health as a condition.
    package var claimConditions = ClaimConditionPolicy.auto
    /// How long a node must have been not Ready to count as failed; nil: nodes are not watched.
    package var nodeFailureDuration: Duration?
    /// The only node whose volumes are monitored, for a driver that knows no others; nil: all volumes of the driver
    /// are.
    package var nodeName: String?
    /// The node on which this process runs, if it is known: a driver that knows only its own node's volumes is
    /// recognized by it.
    package var hostNodeName: String?
    /// After what time a term ends in which the driver cannot be reached, all health calls fail, or the API server
    /// refuses the watches: another replica may do better. nil: it does not end.
    package var dependencyTimeout: Duration?
    /// The time from one Identity/Probe call to the next, which detect between lists that a driver hangs; nil: no such
    /// calls are made.
    package var driverCheckInterval: Duration?
    /// The time from one check to the next whether this replica may still list what it watches, which detects that an
    /// RBAC rule was removed while the watches stay open; nil: no such requests are made.
    package var permissionCheckInterval: Duration?
    /// Whether watches are reopened every 25 to 30 seconds, so that one behind a proxy that forwards nothing is noticed
    /// within 45. Not with ``nodeName``: there is such a process on each node.
    package var reopensWatches = false
    /// Which Secrets of the volumes are sent with the health RPCs.
    package var volumeSecrets = VolumeSecretsKind.none

    /// The defaults are those of the command's flags.
    package init(driverName: String, identity: String) {
        self.driverName = driverName
        self.identity = identity
    }
}

extension MonitorConfiguration {
    var watchLifetime: WatchLifetime { reopensWatches && nodeName == nil ? .short : .long }

    /// How often unhealthy volumes are probed, where all are listed or probed in this interval; nil: as often.
    func rechecks(every period: Duration) -> RecheckTiming? {
        unhealthyInterval.flatMap { RecheckTiming(interval: $0 == .zero ? period / 4 : $0, period: period) }
    }
}

extension HealthState.Configuration {
    init(_ configuration: MonitorConfiguration) {
        self.init(
            reportsMissingVolumes: configuration.reportsMissingVolumes,
            absenceLimits: AbsenceLimits(hold: configuration.missingVolumesHold),
            claimConditions: configuration.claimConditions,
            unresponsiveAfter: configuration.unresponsiveAfter,
            outageLimits: configuration.outageLimits,
            holdTimes: configuration.holdTimes,
            flapping: FlappingLimits(threshold: configuration.flappingThreshold)
        )
    }
}
