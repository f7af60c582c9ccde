// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// Which drivers of a node to monitor, how often, and what to report.
package struct NodeMonitorConfiguration: Sendable {
    /// The drivers whose volumes are probed.
    package enum Drivers: Sendable, Hashable {
        /// The driver behind this socket: a path, or an address in gRPC's syntax.
        case socket(String)
        /// The drivers that are registered with the node's kubelet: only those named first, if any are, without those
        /// named second.
        case registered(only: Set<String>, except: Set<String>)
    }

    /// `spec.nodeName` of the pods whose volumes are monitored.
    package var nodeName: String
    package var drivers: Drivers
    /// The kubelet's `--root-dir`.
    package var kubeletRootPath = "/var/lib/kubelet"
    /// The time in which each volume is probed once.
    package var monitorInterval = Duration.seconds(60)
    /// The deadline of each call to a driver.
    package var timeout = Duration.seconds(15)
    /// The maximum of concurrent calls to each driver.
    package var workerThreads = 10
    /// Whether a volume is reported that its driver found before and no longer finds.
    package var reportsMissingVolumes = true
    /// How many changes within an hour a volume may have before it is reported as flapping; 0: never.
    package var flappingThreshold = 6
    /// Whether the condition `DRIVER/volumes-healthy` is written on pods that name it in `spec.readinessGates`.
    package var writesReadinessCondition = false
    /// Whether an abnormal condition of a legacy driver makes that condition False.
    package var legacyAbnormalIsNotReady = false
    /// Whether the health of a driver's storage is reported by events on the Node.
    package var recordsNodeEvents = false
    /// When the node has booted, in seconds since 1970; nil: long ago. Pods count as started only if they have started
    /// since, for ``bootWindow``.
    package var bootTime: Int64?
    /// How long after a boot the status of a pod may be that of the time before. Longer than the kubelet needs to start
    /// and to mount volumes again; not for ever, because the clock of a node may have been wrong when it booted.
    static let bootWindow = Duration.seconds(15 * 60)
    /// The first request waits for a random time up to this, so that the agents of a new DaemonSet do not list at once.
    package var startJitter = Duration.seconds(10)
    /// How long after a volume has turned unhealthy that is reported: longer than the API server may lack the end of a
    /// pod whose volumes the kubelet has unmounted.
    package var reportDelay = Duration.seconds(15)

    /// The defaults are those of the command's flags.
    package init(nodeName: String, drivers: Drivers) {
        self.nodeName = nodeName
        self.drivers = drivers
    }
}
