// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import ArgumentParser

/// The flags of the agent with their types, defaults and help. ``AgentOptions`` validates them.
///
/// Names and defaults are those of the agent of kubernetes-csi/external-health-monitor 0.2, so that its arguments work
/// unchanged. A boolean flag is also listed in ``booleans``.
package struct AgentFlags: ParsableArguments {
    @OptionGroup(title: "CSI drivers") var drivers: AgentDriverFlags
    @OptionGroup(title: "Reporting") var reports: AgentReportFlags
    @OptionGroup(title: "Kubernetes API") var kubernetes: AgentKubernetesFlags
    @OptionGroup(title: "Diagnostics") var diagnostics: DiagnosticsFlags
    @OptionGroup(title: "Accepted for compatibility") var compatibility: CompatibilityFlags

    /// The names of the flags that mean true without a value, as in `--all-drivers`.
    package static let booleans = CompatibilityFlags.booleans.union([
        "all-drivers", "legacy-readiness", "node-events", "readiness-condition", "report-missing-volumes", "version",
    ])

    package init() {}

    /// Whether to print the version and exit.
    package var version: Bool { diagnostics.version }
}

struct AgentDriverFlags: ParsableArguments {
    static let defaultAddress = "/run/csi/socket"

    @Option("Path of the CSI driver's socket, or unix:// and the path. Not with --all-drivers.", valueName: "address")
    var csiAddress = Self.defaultAddress

    @Option(
        "Monitor every CSI driver that is registered with the node's kubelet, found by the sockets in plugins_registry of "
            + "the kubelet's root directory."
    )
    var allDrivers = false

    @Option("With --all-drivers: monitor only these CSI drivers.")
    var drivers = DriverNames()

    @Option("With --all-drivers: do not monitor these CSI drivers.")
    var excludeDrivers = DriverNames()

    @Option(
        "The kubelet's --root-dir, as the kubelet was started with it: the CSI driver gets paths below it.",
        valueName: "path"
    )
    var kubeletRootPath = "/var/lib/kubelet"

    @Option("Timeout of each call to a CSI driver.")
    var timeout = GoDuration.seconds(15)

    @Option("Interval in which each volume is probed once.")
    var monitorInterval = GoDuration.minutes(1)

    @Option("Maximum number of concurrent calls to each CSI driver.")
    var workerThreads: Int32 = 10
}

struct AgentReportFlags: ParsableArguments {
    @Option("Report a volume that the CSI driver found before and no longer finds at its path.")
    var reportMissingVolumes = true

    @Option(
        "Number of changes within an hour above which a volume is reported as flapping, and its changes at most every 10 "
            + "minutes. 0: never."
    )
    var flappingThreshold: Int32 = 6

    @Option(
        "Write the condition DRIVER/volumes-healthy of pods that name it in spec.readinessGates. Requires the RBAC rule to "
            + "patch pods/status."
    )
    var readinessCondition = false

    @Option(
        "With --readiness-condition: an abnormal volume of a legacy driver (up to CSI 1.12) makes its pods not ready."
    )
    var legacyReadiness = false

    @Option("Report conditions of a CSI driver's storage backend as events on the Node.")
    var nodeEvents = false
}

/// The limits are external-health-monitor's: there is an agent on every node.
struct AgentKubernetesFlags: ParsableArguments {
    @Option("Path of the kubeconfig file. Empty: the pod's service account.", valueName: "path")
    var kubeconfig = ""

    @Option(name: .customLong("kube-api-qps"), "Maximum QPS to the API server. Negative: no limit.")
    var kubeAPIQPS = 5.0

    @Option(name: .customLong("kube-api-burst"), "Maximum burst of requests to the API server.")
    var kubeAPIBurst: Int32 = 10
}
