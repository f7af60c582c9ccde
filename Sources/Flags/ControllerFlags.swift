// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import ArgumentParser
import ControllerCore
import ControllerMonitor
import Diagnostics
import HealthCore
import HealthRuntime

/// The flags of the controller with their types, defaults and help; ``ControllerOptions`` is what they come to.
///
/// Names and defaults are those of kubernetes-csi/external-health-monitor, which this program replaces without a change
/// to its arguments. A flag is declared here and nowhere else; that it needs no value is said in ``booleans``.
package struct ControllerFlags: ParsableArguments {
    @OptionGroup(title: "CSI driver") var driver: DriverFlags
    @OptionGroup(title: "What is reported") var reports: ReportFlags
    @OptionGroup(title: "Kubernetes API") var kubernetes: KubernetesFlags
    @OptionGroup(title: "Leader election") var leaderElection: LeaderElectionFlags
    @OptionGroup(title: "Diagnostics") var diagnostics: DiagnosticsFlags
    @OptionGroup(title: "Accepted for compatibility") var compatibility: CompatibilityFlags

    /// The flags that are true without a value.
    package static let booleans: Set = [
        "automaxprocs", "enable-node-watcher", "leader-election", "legacy-status", "log-json-split-stream",
        "log-text-split-stream", "node-deployment", "report-missing-volumes", "version", "warm-standby",
    ]

    /// The flags without any argument.
    package init() {}

    /// Print the version, and do nothing else.
    package var version: Bool { diagnostics.version }
}

struct DriverFlags: ParsableArguments {
    @Option("The driver's socket: a path, or unix:// and a path.", valueName: "address")
    var csiAddress = "/run/csi/socket"

    @Option("How long one call to the driver may take; a list is one call per page.")
    var timeout = GoDuration.seconds(15)

    @Option("Where the driver lists volumes: from the beginning of one list to that of the next.")
    var listVolumesInterval = GoDuration.minutes(5)

    @Option("Where it does not: each volume is asked for once in this time.")
    var monitorInterval = GoDuration.minutes(1)

    @Option(
        "The most calls for single volumes at a time; fewer where the driver answers more slowly the more there are."
    )
    var workerThreads: Int32 = 10

    @Option(
        name: .customLong("probe-qps"),
        "The most calls for single volumes per second; 0 sets no limit beyond --worker-threads."
    )
    var probeQPS = 0.0

    @Option(
        "The most volumes on a page of a list; 0 leaves it to the driver. There are drivers that truncate their list "
            + "when they are given a bound, and drivers that fail without one."
    )
    var listMaxEntries: Int32 = 0

    @Option(
        "Monitor only PersistentVolumes whose nodeAffinity admits the node in the environment variable NODE_NAME, for a "
            + "driver that runs on each node and knows only its volumes."
    )
    var nodeDeployment = false

    @Option(
        "Which Secret of a PersistentVolume goes with the health calls of CSI 1.13: none, controller-publish, "
            + "controller-expand or node-stage.",
        valueName: "kind"
    )
    var volumeSecrets = VolumeSecretsKind.none
}

struct ReportFlags: ParsableArguments {
    @Option("Report a claim when the driver does not find its volume any more.")
    var reportMissingVolumes = true

    @Option(
        "How long many volumes must be missing at once before they are reported missing: more than 5 and more than 5 "
            + "percent of them, or all."
    )
    var missingVolumesHold = GoDuration.minutes(10)

    @Option(
        "Report a claim when calls for its volume have failed for this long, where volumes are probed one by one. "
            + "0 disables it."
    )
    var reportUnansweredAfter = GoDuration.minutes(15)

    @Option("Write the conditions of legacy drivers (up to CSI 1.12) to status.healthStatus too.")
    var legacyStatus = true

    @Option(
        "When a claim's health is shown as a condition of type csi-health-monitor/VolumeHealthy in its status: auto "
            + "(while the API server does not keep status.healthStatus), always or never.",
        valueName: "when"
    )
    var claimCondition = ClaimConditionPolicy.auto

    @Option("Report claims whose pods run on a node that is not ready or was deleted.")
    var enableNodeWatcher = false

    @Option("With the node watcher: how long a node is not ready before it counts as failed.")
    var nodeFailureDuration = GoDuration.minutes(5)
}

struct KubernetesFlags: ParsableArguments {
    @Option("A kubeconfig file; without one, the pod's service account is used.", valueName: "path")
    var kubeconfig = ""

    @Option(name: .customLong("kube-api-qps"), "The most requests per second to the API server in the long run.")
    var kubeAPIQPS = 50.0

    @Option(name: .customLong("kube-api-burst"), "The most requests to the API server at once.")
    var kubeAPIBurst: Int32 = 100
}

struct LeaderElectionFlags: ParsableArguments {
    @Option("Work only while holding the driver's lease, for more than one replica.")
    var leaderElection = false

    @Option("The lease's namespace; without one, the pod's own.", valueName: "name")
    var leaderElectionNamespace = ""

    @Option("How long the others wait for a silent leader; more than the renew deadline.")
    var leaderElectionLeaseDuration = GoDuration.seconds(15)

    @Option("How long a leader works on that cannot renew its lease; more than 1.2 x the retry period.")
    var leaderElectionRenewDeadline = GoDuration.seconds(10)

    @Option("How often a leader renews its lease and the others look.")
    var leaderElectionRetryPeriod = GoDuration.seconds(5)

    @Option(
        "After what time a leader gives the lease back whose driver cannot be reached, all of whose calls for volumes' "
            + "health fail, or whom the API server refuses the watches; 0 never. Without a value: two lease durations."
    )
    var driverUnavailableTimeout = GoDuration?.none

    @Option("Labels for the lease.")
    var leaderElectionLabels = Labels()

    @Option(
        "Keep the caches of PersistentVolumes and PersistentVolumeClaims up to date while this replica is a standby, so "
            + "that a failover has no list to wait for. Costs a watch of both per standby."
    )
    var warmStandby = false
}

struct DiagnosticsFlags: ParsableArguments {
    @Option(
        name: .customLong("http-endpoint"),
        "Where to serve metrics and \(HealthChecks.leaderElectionPath), such as :8080; without one, nowhere.",
        valueName: "address"
    )
    var httpEndpoint = ""

    @Option("Deprecated name of --http-endpoint; only one of the two may be given.", valueName: "address")
    var metricsAddress = ""

    @Option("The path of the metrics.", valueName: "path")
    var metricsPath = "/metrics"

    @Option(
        name: .customLong("v"),
        "How much to log: 0 what an operator acts on, 2 each report, 4 decisions, 5 calls to the driver, 6 requests to "
            + "the API server.",
        valueName: "level"
    )
    var verbosity: Int32 = 0

    @Option("How to log: text or json.")
    var loggingFormat = KlogHandler.Format.text

    @Option("Print the version and exit.")
    var version = false
}

/// Flags that external-health-monitor has and that mean nothing here: read, checked, and left.
struct CompatibilityFlags: ParsableArguments {
    @Option("Volumes are known from a watch.")
    var volumeListAddInterval = GoDuration.minutes(5)

    @Option("Nodes are known from a watch.")
    var nodeListAddInterval = GoDuration.minutes(5)

    @Option("Watches need no resync.")
    var resync = GoDuration.minutes(10)

    @Option("The number of threads does not follow the CPU limit.")
    var automaxprocs = false

    @Option("--v holds for the whole program.")
    var vmodule = VModule()

    @Option("Logs are not buffered.")
    var logFlushFrequency = GoDuration.seconds(5)

    @Option("Logs go to standard error.")
    var logTextSplitStream = false

    @Option("Logs are not buffered.")
    var logTextInfoBufferSize = ByteQuantity()

    @Option(name: .customLong("log-json-split-stream"), "Logs go to standard error.")
    var logJSONSplitStream = false

    @Option(name: .customLong("log-json-info-buffer-size"), "Logs are not buffered.")
    var logJSONInfoBufferSize = ByteQuantity()

    /// Those that were given, and differ from their defaults: somebody may expect something of them.
    var given: [String] {
        guard let defaults = try? Self.parse([]) else { return [] }
        return zip(texts, defaults.texts).filter { $0.text != $1.text }.map(\.0.name)
    }

    private var texts: [(name: String, text: String)] {
        [
            ("volume-list-add-interval", volumeListAddInterval.flagText),
            ("node-list-add-interval", nodeListAddInterval.flagText),
            ("resync", resync.flagText),
            ("automaxprocs", automaxprocs.flagText),
            ("vmodule", vmodule.flagText),
            ("log-flush-frequency", logFlushFrequency.flagText),
            ("log-text-split-stream", logTextSplitStream.flagText),
            ("log-text-info-buffer-size", logTextInfoBufferSize.flagText),
            ("log-json-split-stream", logJSONSplitStream.flagText),
            ("log-json-info-buffer-size", logJSONInfoBufferSize.flagText),
        ]
    }
}
