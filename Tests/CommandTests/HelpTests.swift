// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import ArgumentParser
import Testing

@testable import csi_health_monitor

/// The exact text, so that a change of the help is read in full.
@Suite struct HelpTests {
    @Test func `the help is complete and in order`() {
        #expect(ControllerCommand.helpMessage(columns: 100) == help)
    }

    @Test func `the help of the agent is complete and in order`() {
        #expect(AgentCommand.helpMessage(columns: 100) == agentHelp)
    }

    private let help = """
        OVERVIEW: Reports abnormal CSI volumes as events on their PersistentVolumeClaims and in their
        status.

        Runs as a sidecar of a CSI controller plugin, in place of external-health-monitor and with its
        flags. Flags have Go's syntax: -flag or --flag, -flag=value or -flag value, durations such as
        1m30s.

        Commands, each with its own --help; without one it is controller:

        controller: Reports abnormal CSI volumes as events on their PersistentVolumeClaims and in their
        status.
        agent: Reports abnormal CSI volumes of a node as events on the pods that use them.
        doctor: Checks the CSI driver, the API server and the RBAC permissions of the controller. Changes
        nothing.
        status: Lists the PersistentVolumeClaims whose volumes are unhealthy, or explains one claim.
        check: Checks a CSI driver's health RPCs against the CSI specification. Needs no cluster.

        USAGE: csi-health-monitor [COMMAND] [--flag=value ...]

        CSI DRIVER:
          --csi-address <address> Path of the CSI driver's socket, or unix:// and the path. (default:
                                  /run/csi/socket)
          --timeout <duration>    Timeout of each call to the CSI driver. A list is one call per page.
                                  (default: 15s)
          --list-volumes-interval <duration>
                                  Interval between lists of all volumes, from start to start, if the CSI
                                  driver lists volumes. (default: 5m)
          --monitor-interval <duration>
                                  Interval in which each volume is probed once, if the CSI driver does not
                                  list volumes. (default: 1m)
          --unhealthy-interval <duration>
                                  Interval between calls for a volume that is unhealthy, if the CSI driver
                                  has a call for a single volume. 0: a quarter of --list-volumes-interval
                                  or --monitor-interval, whichever applies. If it is not shorter than that
                                  interval, there are no such calls. (default: 0s)
          --worker-threads <count>
                                  Maximum number of concurrent calls for single volumes. Lowered while the
                                  CSI driver responds slowly or is overloaded. (default: 10)
          --probe-qps <number>    Maximum number of calls for single volumes per second. 0: limited by
                                  --worker-threads only. (default: 0)
          --list-max-entries <count>
                                  Maximum number of volumes on a page of a list. 0: the CSI driver decides.
                                  Some drivers truncate the list if a maximum is set, others fail without
                                  one. (default: 0)
          --node-deployment <bool>
                                  Monitor only PersistentVolumes whose nodeAffinity matches the node in the
                                  environment variable NODE_NAME. For a CSI driver that runs on each node
                                  and knows only the volumes of its node. (default: false)
          --volume-secrets <kind> Secret of a PersistentVolume to send with the health calls of CSI 1.13:
                                  none, controller-publish, controller-expand or node-stage. (default: none)

        REPORTING:
          --report-missing-volumes <bool>
                                  Report a PersistentVolumeClaim whose volume the CSI driver no longer
                                  finds. (default: true)
          --missing-volumes-hold <duration>
                                  Time to wait before volumes are reported missing if many are missing at
                                  once: more than 5 and more than 5 percent of them, or all. (default: 10m)
          --report-unanswered-after <duration>
                                  Report a PersistentVolumeClaim when calls for its volume have failed for
                                  this long, if volumes are probed individually. 0: never. (default: 15m)
          --abnormal-after <duration>
                                  Report a volume as unhealthy only after it has been so for this long.
                                  (default: 0s)
          --recover-after <duration>
                                  Report that a volume has recovered only after it has been healthy for
                                  this long. (default: 0s)
          --flapping-threshold <count>
                                  Number of changes within an hour above which a volume is reported as
                                  flapping, and its changes at most every 10 minutes. 0: never. (default: 6)
          --outage-threshold-percent <count>
                                  Percentage of the CSI driver's volumes. If more than these and more than
                                  --outage-threshold-volumes turn unhealthy within one list or interval, an
                                  outage of the CSI driver is reported. 100: never. (default: 5)
          --outage-threshold-volumes <count>
                                  Number of volumes that may turn unhealthy together, however few the CSI
                                  driver has. (default: 5)
          --legacy-status <bool>  Write the conditions of legacy drivers (up to CSI 1.12) to
                                  status.healthStatus as well. (default: true)
          --claim-condition <when>
                                  When to show a claim's health as the condition
                                  csi-health-monitor/VolumeHealthy in its status: auto (while the API
                                  server does not keep status.healthStatus), always or never. (default:
                                  auto)
          --enable-node-watcher <bool>
                                  Report PersistentVolumeClaims whose pods run on a node that is not ready
                                  or was deleted. (default: false)
          --node-failure-duration <duration>
                                  Time a node must not be ready before it counts as failed. Requires
                                  --enable-node-watcher. (default: 5m)

        KUBERNETES API:
          --kubeconfig <path>     Path of the kubeconfig file. Empty: the pod's service account.
          --kube-api-qps <number> Maximum QPS to the API server. Negative: no limit. (default: 50)
          --kube-api-burst <count>
                                  Maximum burst of requests to the API server. (default: 100)

        LEADER ELECTION:
          --leader-election <bool>
                                  Monitor only while holding the CSI driver's Lease. Required for more than
                                  one replica. (default: false)
          --leader-election-namespace <name>
                                  Namespace of the Lease. Empty: the pod's namespace.
          --leader-election-lease-duration <duration>
                                  Duration that non-leader candidates wait to force acquire leadership.
                                  Must be greater than the renew deadline. (default: 15s)
          --leader-election-renew-deadline <duration>
                                  Duration that the acting leader retries refreshing leadership before
                                  giving up. Must be greater than 1.2 times the retry period. (default: 10s)
          --leader-election-retry-period <duration>
                                  Duration that candidates wait between attempts to acquire or renew the
                                  Lease. (default: 5s)
          --driver-unavailable-timeout <duration>
                                  Duration after which the leader releases the Lease while the CSI driver
                                  cannot be reached, all calls for volume health fail, or the API server
                                  refuses the watches. 0: never. Empty: twice the lease duration.
          --leader-election-labels <key:value,...>
                                  Labels to add to the Lease.
          --warm-standby <bool>   Keep the caches of PersistentVolumes and PersistentVolumeClaims up to
                                  date on a standby, so that a failover does not wait for lists. Costs two
                                  watches per standby. (default: false)

        DIAGNOSTICS:
          --http-endpoint <address>
                                  Address to serve metrics and health checks on, such as :8080. Empty: no
                                  HTTP server.
          --metrics-address <address>
                                  Deprecated: use --http-endpoint. Only one of the two may be set.
          --metrics-path <path>   HTTP path of the metrics. (default: /metrics)
          --v <level>             Log verbosity: 0 what an operator acts on, 2 reports, 4 decisions, 5
                                  calls to the CSI driver, 6 requests to the API server. (default: 0)
          --logging-format <format>
                                  Log format: text or json. (default: text)
          --version <bool>        Print the version and exit. (default: false)
          --status-page <bool>    Serve a page for browsers at / of the HTTP endpoint, and the same as
                                  /status.json. (default: true)

        ACCEPTED FOR COMPATIBILITY:
          --volume-list-add-interval <duration>
                                  Ignored: volumes are watched. (default: 5m)
          --node-list-add-interval <duration>
                                  Ignored: nodes are watched. (default: 5m)
          --resync <duration>     Ignored: watches need no resync. (default: 10m)
          --automaxprocs <bool>   Ignored: the number of threads does not depend on the CPU limit.
                                  (default: false)
          --vmodule <pattern=N,...>
                                  Ignored: --v applies to the whole program.
          --log-flush-frequency <duration>
                                  Ignored: logs are not buffered. (default: 5s)
          --log-text-split-stream <bool>
                                  Ignored: logs go to standard error. (default: false)
          --log-text-info-buffer-size <bytes>
                                  Ignored: logs are not buffered. (default: 0)
          --log-json-split-stream <bool>
                                  Ignored: logs go to standard error. (default: false)
          --log-json-info-buffer-size <bytes>
                                  Ignored: logs are not buffered. (default: 0)
          --logtostderr <bool>    Ignored: logs go to standard error. (default: true)
          --alsologtostderr <bool>
                                  Ignored: logs go to standard error. (default: false)
          --stderrthreshold <severity>
                                  Ignored: logs of each severity go to standard error. (default: 2)
          --log_dir <path>        Ignored: logs go to standard error.
          --log_file <path>       Ignored: logs go to standard error.
          --log_file_max_size <megabytes>
                                  Ignored: logs go to standard error. (default: 1800)
          --one_output <bool>     Ignored: logs go to standard error. (default: false)
          --skip_log_headers <bool>
                                  Ignored: logs go to standard error. (default: false)
          --skip_headers <bool>   Ignored: each line has its header. (default: false)
          --add_dir_header <bool> Ignored: headers have no directories. (default: false)
          --log_backtrace_at <file:N>
                                  Ignored: logs have no stack traces.

        OPTIONS:
          -h, --help              Show help information.

        """

    private let agentHelp = """
        OVERVIEW: Reports abnormal CSI volumes of a node as events on the pods that use them.

        Runs on each node: once for all CSI drivers of the node (--all-drivers), or as a sidecar of one CSI
        node plugin. Requires the environment variable NODE_NAME. Has the flags of
        external-health-monitor's agent.

        USAGE: csi-health-monitor agent [--flag=value ...]

        CSI DRIVERS:
          --csi-address <address> Path of the CSI driver's socket, or unix:// and the path. Not with
                                  --all-drivers. (default: /run/csi/socket)
          --all-drivers <bool>    Monitor every CSI driver that is registered with the node's kubelet,
                                  found by the sockets in plugins_registry of the kubelet's root directory.
                                  (default: false)
          --drivers <name,...>    With --all-drivers: monitor only these CSI drivers.
          --exclude-drivers <name,...>
                                  With --all-drivers: do not monitor these CSI drivers.
          --kubelet-root-path <path>
                                  The kubelet's --root-dir, as the kubelet was started with it: the CSI
                                  driver gets paths below it. (default: /var/lib/kubelet)
          --timeout <duration>    Timeout of each call to a CSI driver. (default: 15s)
          --monitor-interval <duration>
                                  Interval in which each volume is probed once. (default: 1m)
          --worker-threads <count>
                                  Maximum number of concurrent calls to each CSI driver. (default: 10)

        REPORTING:
          --report-missing-volumes <bool>
                                  Report a volume that the CSI driver found before and no longer finds at
                                  its path. (default: true)
          --flapping-threshold <count>
                                  Number of changes within an hour above which a volume is reported as
                                  flapping, and its changes at most every 10 minutes. 0: never. (default: 6)
          --readiness-condition <bool>
                                  Write the condition DRIVER/volumes-healthy of pods that name it in
                                  spec.readinessGates. Requires the RBAC rule to patch pods/status.
                                  (default: false)
          --legacy-readiness <bool>
                                  With --readiness-condition: an abnormal volume of a legacy driver (up to
                                  CSI 1.12) makes its pods not ready. (default: false)
          --node-events <bool>    Report conditions of a CSI driver's storage backend as events on the
                                  Node. (default: false)

        KUBERNETES API:
          --kubeconfig <path>     Path of the kubeconfig file. Empty: the pod's service account.
          --kube-api-qps <number> Maximum QPS to the API server. Negative: no limit. (default: 5)
          --kube-api-burst <count>
                                  Maximum burst of requests to the API server. (default: 10)

        DIAGNOSTICS:
          --http-endpoint <address>
                                  Address to serve metrics and health checks on, such as :8080. Empty: no
                                  HTTP server.
          --metrics-address <address>
                                  Deprecated: use --http-endpoint. Only one of the two may be set.
          --metrics-path <path>   HTTP path of the metrics. (default: /metrics)
          --v <level>             Log verbosity: 0 what an operator acts on, 2 reports, 4 decisions, 5
                                  calls to the CSI driver, 6 requests to the API server. (default: 0)
          --logging-format <format>
                                  Log format: text or json. (default: text)
          --version <bool>        Print the version and exit. (default: false)

        ACCEPTED FOR COMPATIBILITY:
          --resync <duration>     Ignored: watches need no resync. (default: 10m)
          --automaxprocs <bool>   Ignored: the number of threads does not depend on the CPU limit.
                                  (default: false)
          --vmodule <pattern=N,...>
                                  Ignored: --v applies to the whole program.
          --log-flush-frequency <duration>
                                  Ignored: logs are not buffered. (default: 5s)
          --log-text-split-stream <bool>
                                  Ignored: logs go to standard error. (default: false)
          --log-text-info-buffer-size <bytes>
                                  Ignored: logs are not buffered. (default: 0)
          --log-json-split-stream <bool>
                                  Ignored: logs go to standard error. (default: false)
          --log-json-info-buffer-size <bytes>
                                  Ignored: logs are not buffered. (default: 0)
          --logtostderr <bool>    Ignored: logs go to standard error. (default: true)
          --alsologtostderr <bool>
                                  Ignored: logs go to standard error. (default: false)
          --stderrthreshold <severity>
                                  Ignored: logs of each severity go to standard error. (default: 2)
          --log_dir <path>        Ignored: logs go to standard error.
          --log_file <path>       Ignored: logs go to standard error.
          --log_file_max_size <megabytes>
                                  Ignored: logs go to standard error. (default: 1800)
          --one_output <bool>     Ignored: logs go to standard error. (default: false)
          --skip_log_headers <bool>
                                  Ignored: logs go to standard error. (default: false)
          --skip_headers <bool>   Ignored: each line has its header. (default: false)
          --add_dir_header <bool> Ignored: headers have no directories. (default: false)
          --log_backtrace_at <file:N>
                                  Ignored: logs have no stack traces.

        OPTIONS:
          -h, --help              Show help information.

        """
}
