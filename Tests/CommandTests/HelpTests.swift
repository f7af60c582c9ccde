// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import ArgumentParser
import Testing

@testable import csi_health_monitor

/// The help, word for word: whoever changes it reads it once.
@Suite struct HelpTests {
    @Test func `the help is this`() {
        #expect(ControllerCommand.helpMessage(columns: 100) == help)
    }

    private let help = """
        OVERVIEW: Reports abnormal CSI volumes as events and status of their PersistentVolumeClaims.

        Runs beside a CSI controller plugin. Replaces external-health-monitor with the same flags, in Go's
        syntax: -flag and --flag are alike, a value follows after = or as the next argument, durations are
        written 1m30s.

        USAGE: csi-health-monitor [controller | doctor] [--flag=value ...]

        CSI DRIVER:
          --csi-address <address> The driver's socket: a path, or unix:// and a path. (default:
                                  /run/csi/socket)
          --timeout <duration>    How long one call to the driver may take; a list is one call per page.
                                  (default: 15s)
          --list-volumes-interval <duration>
                                  Where the driver lists volumes: from the beginning of one list to that of
                                  the next. (default: 5m)
          --monitor-interval <duration>
                                  Where it does not: each volume is asked for once in this time. (default:
                                  1m)
          --worker-threads <count>
                                  The most calls for single volumes at a time; fewer where the driver
                                  answers more slowly the more there are. (default: 10)
          --probe-qps <number>    The most calls for single volumes per second; 0 sets no limit beyond
                                  --worker-threads. (default: 0)
          --list-max-entries <count>
                                  The most volumes on a page of a list; 0 leaves it to the driver. There
                                  are drivers that truncate their list when they are given a bound, and
                                  drivers that fail without one. (default: 0)
          --node-deployment <bool>
                                  Monitor only PersistentVolumes whose nodeAffinity admits the node in the
                                  environment variable NODE_NAME, for a driver that runs on each node and
                                  knows only its volumes. (default: false)
          --volume-secrets <kind> Which Secret of a PersistentVolume goes with the health calls of CSI
                                  1.13: none, controller-publish, controller-expand or node-stage.
                                  (default: none)

        WHAT IS REPORTED:
          --report-missing-volumes <bool>
                                  Report a claim when the driver does not find its volume any more.
                                  (default: true)
          --missing-volumes-hold <duration>
                                  How long many volumes must be missing at once before they are reported
                                  missing: more than 5 and more than 5 percent of them, or all. (default:
                                  10m)
          --report-unanswered-after <duration>
                                  Report a claim when calls for its volume have failed for this long, where
                                  volumes are probed one by one. 0 disables it. (default: 15m)
          --legacy-status <bool>  Write the conditions of legacy drivers (up to CSI 1.12) to
                                  status.healthStatus too. (default: true)
          --claim-condition <when>
                                  When a claim's health is shown as a condition of type
                                  csi-health-monitor/VolumeHealthy in its status: auto (while the API
                                  server does not keep status.healthStatus), always or never. (default:
                                  auto)
          --enable-node-watcher <bool>
                                  Report claims whose pods run on a node that is not ready or was deleted.
                                  (default: false)
          --node-failure-duration <duration>
                                  With the node watcher: how long a node is not ready before it counts as
                                  failed. (default: 5m)

        KUBERNETES API:
          --kubeconfig <path>     A kubeconfig file; without one, the pod's service account is used.
          --kube-api-qps <number> The most requests per second to the API server in the long run. (default:
                                  50)
          --kube-api-burst <count>
                                  The most requests to the API server at once. (default: 100)

        LEADER ELECTION:
          --leader-election <bool>
                                  Work only while holding the driver's lease, for more than one replica.
                                  (default: false)
          --leader-election-namespace <name>
                                  The lease's namespace; without one, the pod's own.
          --leader-election-lease-duration <duration>
                                  How long the others wait for a silent leader; more than the renew
                                  deadline. (default: 15s)
          --leader-election-renew-deadline <duration>
                                  How long a leader works on that cannot renew its lease; more than 1.2 x
                                  the retry period. (default: 10s)
          --leader-election-retry-period <duration>
                                  How often a leader renews its lease and the others look. (default: 5s)
          --driver-unavailable-timeout <duration>
                                  After what time a leader gives the lease back whose driver cannot be
                                  reached, all of whose calls for volumes' health fail, or whom the API
                                  server refuses the watches; 0 never. Without a value: two lease durations.
          --leader-election-labels <key:value,...>
                                  Labels for the lease.
          --warm-standby <bool>   Keep the caches of PersistentVolumes and PersistentVolumeClaims up to
                                  date while this replica is a standby, so that a failover has no list to
                                  wait for. Costs a watch of both per standby. (default: false)

        DIAGNOSTICS:
          --http-endpoint <address>
                                  Where to serve metrics and /healthz/leader-election, such as :8080;
                                  without one, nowhere.
          --metrics-address <address>
                                  Deprecated name of --http-endpoint; only one of the two may be given.
          --metrics-path <path>   The path of the metrics. (default: /metrics)
          --v <level>             How much to log: 0 what an operator acts on, 2 each report, 4 decisions,
                                  5 calls to the driver, 6 requests to the API server. (default: 0)
          --logging-format <format>
                                  How to log: text or json. (default: text)
          --version <bool>        Print the version and exit. (default: false)

        ACCEPTED FOR COMPATIBILITY:
          --volume-list-add-interval <duration>
                                  Volumes are known from a watch. (default: 5m)
          --node-list-add-interval <duration>
                                  Nodes are known from a watch. (default: 5m)
          --resync <duration>     Watches need no resync. (default: 10m)
          --automaxprocs <bool>   The number of threads does not follow the CPU limit. (default: false)
          --vmodule <pattern=N,...>
                                  --v holds for the whole program.
          --log-flush-frequency <duration>
                                  Logs are not buffered. (default: 5s)
          --log-text-split-stream <bool>
                                  Logs go to standard error. (default: false)
          --log-text-info-buffer-size <bytes>
                                  Logs are not buffered. (default: 0)
          --log-json-split-stream <bool>
                                  Logs go to standard error. (default: false)
          --log-json-info-buffer-size <bytes>
                                  Logs are not buffered. (default: 0)

        OPTIONS:
          -h, --help              Show help information.

        """
}
