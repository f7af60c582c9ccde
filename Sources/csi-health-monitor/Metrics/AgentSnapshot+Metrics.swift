// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthCore
import Metrics
import NodeCore
import NodeMonitor

extension AgentSnapshot {
    /// - Parameter time: the time of the scrape, in seconds since 1970.
    func metrics(at time: Double) -> [CollectedMetric] {
        var metrics: [CollectedMetric] = [
            .up(isUp), .watchAges(watchSilence.map { [(resource: "pods", age: $0)] } ?? []), .missingRules(rules),
        ]
        metrics += driverMetrics(at: time)
        if let health { metrics += health.volumeMetrics + health.driverMetrics(of: Set(drivers.compactMap(\.name))) }
        return metrics
    }

    private func driverMetrics(at time: Double) -> [CollectedMetric] {
        [
            perDriver(
                "csi_volume_health_driver_connected",
                help: "Whether the agent is connected to the CSI driver (1)."
            ) {
                $0.isConnected ? 1 : 0
            },
            perDriver(
                "csi_volume_health_driver_supported",
                help: "Whether the CSI driver is able to report the health of volumes on the node (1)."
            ) { $0.isSupported.map { $0 ? 1 : 0 } },
            perDriver(
                "csi_volume_health_driver_hanging",
                help: "Whether the CSI driver responds to no call for volumes (1): one call per interval is made."
            ) { $0.isHanging ? 1 : 0 },
            perDriver(
                "csi_volume_health_last_sweep_timestamp_seconds",
                help: "End of the last interval in which all volumes were probed, in seconds since the Unix epoch."
            ) { $0.sweepAge.map { (time - $0 / .seconds(1)).rounded() } },
            CollectedMetric(
                MetricDescription(
                    name: "csi_volume_health_driver_info",
                    help:
                        "A metric with a constant value of 1, labeled by the CSI driver's version and the RPC that reports health.",
                    labelNames: ["driver_name", "driver_version", "method", "generation"]
                ),
                samples: drivers.filter { $0.isSupported != nil }.map {
                    ([$0.label, $0.version, $0.method ?? "none", $0.generation], 1)
                }
            ),
        ]
    }

    /// A series for each driver with a value.
    private func perDriver(
        _ name: String,
        help: String,
        _ value: @escaping @Sendable (NodeMonitorStatus.Driver) -> Double?
    ) -> CollectedMetric {
        CollectedMetric(
            MetricDescription(name: name, help: help, labelNames: ["driver_name"]),
            samples: drivers.compactMap { driver in value(driver).map { ([driver.label], $0) } }
        )
    }
}

extension NodeMonitorStatus.Driver {
    /// As csi-lib-utils names a driver that is not identified yet.
    fileprivate var label: String { name ?? "unknown-driver" }

    /// The generation of the RPC that reports health.
    fileprivate var generation: String {
        switch method {
        case NodeProbeStrategy.health.method?: "health"
        case NodeProbeStrategy.legacy.method?: "legacy"
        default: "none"
        }
    }
}

extension NodeHealthSnapshot {
    private static let volumeLabels = ["driver_name", "namespace", "persistentvolumeclaim", "pod", "volume"]

    /// A volume has series only while it is unhealthy, without a response or flapping.
    fileprivate var volumeMetrics: [CollectedMetric] {
        [
            CollectedMetric(
                MetricDescription(
                    name: "csi_node_volume_health_status",
                    help: "Whether the volume of the pod has a condition of this status (1).",
                    labelNames: Self.volumeLabels + ["status"]
                ),
                samples: unhealthy.flatMap { volume in
                    Set(volume.conditions.map(\.status)).map { (volume.volume.labels + [$0.rawValue], 1) }
                }
            ),
            CollectedMetric(
                MetricDescription(
                    name: "csi_node_volume_unanswered_seconds",
                    help: "Time since the CSI driver last responded to a call for the volume of the pod.",
                    labelNames: Self.volumeLabels
                ),
                samples: unresponsive.map { ($0.volume.labels, $0.age / .seconds(1)) }
            ),
            CollectedMetric(
                MetricDescription(
                    name: "csi_node_volume_flapping",
                    help: "Whether the volume of the pod changes so often that not every change is reported (1).",
                    labelNames: Self.volumeLabels
                ),
                samples: flapping.map { ($0.labels, 1) }
            ),
            CollectedMetric(
                MetricDescription(
                    name: "csi_volume_health_pods",
                    help: "Number of pods on the node that have not ended."
                ),
                value: Double(pods)
            ),
            CollectedMetric(
                MetricDescription(
                    name: "csi_volume_health_unresolved_claims",
                    help: "Number of claims of the node's pods whose volume is not known yet."
                ),
                value: Double(unresolvedClaims)
            ),
        ]
    }

    /// - Parameter names: the drivers that are monitored. Volumes of others are not probed.
    fileprivate func driverMetrics(of names: Set<String>) -> [CollectedMetric] {
        let monitored = drivers.filter { names.contains($0.name) }
        return [
            CollectedMetric(
                MetricDescription(
                    name: "csi_volume_health_volumes",
                    help: "Number of the CSI driver's volumes in pods of the node, by state.",
                    labelNames: ["driver_name", "state"]
                ),
                samples: monitored.flatMap { driver in
                    let counts = driver.counts
                    return [
                        ([driver.name, "healthy"], Double(counts.healthy)),
                        ([driver.name, "unhealthy"], Double(counts.unhealthy)),
                        ([driver.name, "unknown"], Double(counts.unknown)),
                        ([driver.name, "waiting"], Double(counts.waiting)),
                    ]
                }
            ),
            CollectedMetric(
                MetricDescription(
                    name: "csi_volume_health_backing_off_volumes",
                    help:
                        "Number of volumes that are probed less often because the CSI driver did not respond for them.",
                    labelNames: ["driver_name"]
                ),
                samples: monitored.map { ([$0.name], Double($0.counts.backingOff)) }
            ),
            CollectedMetric(
                MetricDescription(
                    name: "csi_node_storage_backend_health_status",
                    help:
                        "Whether the CSI driver's storage has a condition of this status and reason on this node (1).",
                    labelNames: ["driver_name", "status", "reason"]
                ),
                samples: monitored.flatMap { driver in
                    // Types that are not known have one name.
                    Set((driver.storage?.conditions ?? []).map { [driver.name, $0.status.name, $0.reason] })
                        .map { ($0, 1) }
                }
            ),
        ]
    }
}

extension NodeVolume {
    fileprivate var labels: [String] { [driver, namespace, claimName ?? "", podName, nameList] }
}
