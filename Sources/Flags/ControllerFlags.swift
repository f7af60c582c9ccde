// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import ArgumentParser
import ControllerCore
import ControllerMonitor

/// The flags of the controller with their types, defaults and help. ``ControllerOptions`` validates them.
///
/// Names and defaults are those of kubernetes-csi/external-health-monitor, so that its arguments work unchanged. A
/// boolean flag is also listed in ``booleans``.
package struct ControllerFlags: ParsableArguments {
    @OptionGroup(title: "CSI driver") var driver: DriverFlags
    @OptionGroup(title: "Reporting") var reports: ReportFlags
    @OptionGroup(title: "Kubernetes API") var kubernetes: KubernetesFlags
    @OptionGroup(title: "Leader election") var leaderElection: LeaderElectionFlags
    @OptionGroup(title: "Diagnostics") var diagnostics: DiagnosticsFlags
    @OptionGroup(title: "Diagnostics") var pages: PageFlags
    @OptionGroup(title: "Accepted for compatibility") var controllerCompatibility: ControllerCompatibilityFlags
    @OptionGroup(title: "Accepted for compatibility") var compatibility: CompatibilityFlags

    /// The names of the flags that mean true without a value, as in `--leader-election`.
    package static let booleans = CompatibilityFlags.booleans.union([
        "enable-node-watcher", "leader-election", "legacy-status", "node-deployment", "report-missing-volumes",
        "status-page", "version", "warm-standby",
    ])

    package init() {}

    /// Whether to print the version and exit.
    package var version: Bool { diagnostics.version }

    /// The names of the flags without effect whose value differs from the default.
    var ignored: [String] { controllerCompatibility.changed + compatibility.changed }
}

struct DriverFlags: ParsableArguments {
    @Option("Path of the CSI driver's socket, or unix:// and the path.", valueName: "address")
    var csiAddress = "/run/csi/socket"

    @Option("Timeout of each call to the CSI driver. A list is one call per page.")
    var timeout = GoDuration.seconds(15)

    @Option("Interval between lists of all volumes, from start to start, if the CSI driver lists volumes.")
    var listVolumesInterval = GoDuration.minutes(5)

    @Option("Interval in which each volume is probed once, if the CSI driver does not list volumes.")
    var monitorInterval = GoDuration.minutes(1)

    @Option(
        "Interval between calls for a volume that is unhealthy, if the CSI driver has a call for a single volume. 0: a "
            + "quarter of --list-volumes-interval or --monitor-interval, whichever applies. If it is not shorter than that "
            + "interval, there are no such calls."
    )
    var unhealthyInterval = GoDuration.seconds(0)

    @Option(
        "Maximum number of concurrent calls for single volumes. Lowered while the CSI driver responds slowly or is "
            + "overloaded."
    )
    var workerThreads: Int32 = 10

    @Option(
        name: .customLong("probe-qps"),
        "Maximum number of calls for single volumes per second. 0: limited by --worker-threads only."
    )
    var probeQPS = 0.0

    @Option(
        "Maximum number of volumes on a page of a list. 0: the CSI driver decides. Some drivers truncate the list if a "
            + "maximum is set, others fail without one."
    )
    var listMaxEntries: Int32 = 0

    @Option(
        "Monitor only PersistentVolumes whose nodeAffinity matches the node in the environment variable NODE_NAME. For a "
            + "CSI driver that runs on each node and knows only the volumes of its node."
    )
    var nodeDeployment = false

    @Option(
        "Secret of a PersistentVolume to send with the health calls of CSI 1.13: none, controller-publish, "
            + "controller-expand or node-stage."
    )
    var volumeSecrets = VolumeSecretsKind.none
}

struct ReportFlags: ParsableArguments {
    @Option("Report a PersistentVolumeClaim whose volume the CSI driver no longer finds.")
    var reportMissingVolumes = true

    @Option(
        "Time to wait before volumes are reported missing if many are missing at once: more than 5 and more than 5 percent "
            + "of them, or all."
    )
    var missingVolumesHold = GoDuration.minutes(10)

    @Option(
        "Report a PersistentVolumeClaim when calls for its volume have failed for this long, if volumes are probed "
            + "individually. 0: never."
    )
    var reportUnansweredAfter = GoDuration.minutes(15)

    @Option("Report a volume as unhealthy only after it has been so for this long.")
    var abnormalAfter = GoDuration.seconds(0)

    @Option("Report that a volume has recovered only after it has been healthy for this long.")
    var recoverAfter = GoDuration.seconds(0)

    @Option(
        "Number of changes within an hour above which a volume is reported as flapping, and its changes at most every 10 "
            + "minutes. 0: never."
    )
    var flappingThreshold: Int32 = 6

    @Option(
        "Percentage of the CSI driver's volumes. If more than these and more than --outage-threshold-volumes turn "
            + "unhealthy within one list or interval, an outage of the CSI driver is reported. 100: never."
    )
    var outageThresholdPercent: Int32 = 5

    @Option("Number of volumes that may turn unhealthy together, however few the CSI driver has.")
    var outageThresholdVolumes: Int32 = 5

    @Option("Write the conditions of legacy drivers (up to CSI 1.12) to status.healthStatus as well.")
    var legacyStatus = true

    @Option(
        "When to show a claim's health as the condition csi-health-monitor/VolumeHealthy in its status: auto (while the "
            + "API server does not keep status.healthStatus), always or never."
    )
    var claimCondition = ClaimConditionPolicy.auto

    @Option("Report PersistentVolumeClaims whose pods run on a node that is not ready or was deleted.")
    var enableNodeWatcher = false

    @Option("Time a node must not be ready before it counts as failed. Requires --enable-node-watcher.")
    var nodeFailureDuration = GoDuration.minutes(5)
}

struct KubernetesFlags: ParsableArguments {
    @Option("Path of the kubeconfig file. Empty: the pod's service account.", valueName: "path")
    var kubeconfig = ""

    @Option(name: .customLong("kube-api-qps"), "Maximum QPS to the API server. Negative: no limit.")
    var kubeAPIQPS = 50.0

    @Option(name: .customLong("kube-api-burst"), "Maximum burst of requests to the API server.")
    var kubeAPIBurst: Int32 = 100
}

struct LeaderElectionFlags: ParsableArguments {
    @Option("Monitor only while holding the CSI driver's Lease. Required for more than one replica.")
    var leaderElection = false

    @Option("Namespace of the Lease. Empty: the pod's namespace.", valueName: "name")
    var leaderElectionNamespace = ""

    @Option(
        "Duration that non-leader candidates wait to force acquire leadership. Must be greater than the renew deadline."
    )
    var leaderElectionLeaseDuration = GoDuration.seconds(15)

    @Option(
        "Duration that the acting leader retries refreshing leadership before giving up. Must be greater than 1.2 times "
            + "the retry period."
    )
    var leaderElectionRenewDeadline = GoDuration.seconds(10)

    @Option("Duration that candidates wait between attempts to acquire or renew the Lease.")
    var leaderElectionRetryPeriod = GoDuration.seconds(5)

    @Option(
        "Duration after which the leader releases the Lease while the CSI driver cannot be reached, all calls for volume "
            + "health fail, or the API server refuses the watches. 0: never. Empty: twice the lease duration."
    )
    var driverUnavailableTimeout = GoDuration?.none

    @Option("Labels to add to the Lease.")
    var leaderElectionLabels = Labels()

    @Option(
        "Keep the caches of PersistentVolumes and PersistentVolumeClaims up to date on a standby, so that a failover does "
            + "not wait for lists. Costs two watches per standby."
    )
    var warmStandby = false

    /// The names of the flags that were set but have no effect without `--leader-election`: of `--warm-standby` and
    /// `--driver-unavailable-timeout`, which this program adds.
    var withoutEffect: [String] {
        guard !leaderElection else { return [] }
        return [
            warmStandby ? "warm-standby" : nil,
            driverUnavailableTimeout != nil ? "driver-unavailable-timeout" : nil,
        ].compactMap(\.self)
    }
}

struct PageFlags: ParsableArguments {
    @Option("Serve a page for browsers at / of the HTTP endpoint, and the same as /status.json.")
    var statusPage = true
}

/// Flags of external-health-monitor's controller alone that are parsed and otherwise ignored.
struct ControllerCompatibilityFlags: IgnoredFlags {
    @Option("Ignored: volumes are watched.")
    var volumeListAddInterval = GoDuration.minutes(5)

    @Option("Ignored: nodes are watched.")
    var nodeListAddInterval = GoDuration.minutes(5)

    var texts: [(name: String, text: String)] {
        [
            ("volume-list-add-interval", volumeListAddInterval.flagText),
            ("node-list-add-interval", nodeListAddInterval.flagText),
        ]
    }
}
