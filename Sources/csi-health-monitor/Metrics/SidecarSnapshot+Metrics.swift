// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import ControllerCore
import ControllerMonitor
import HealthCore
import Metrics

extension SidecarSnapshot {
    /// - Parameter time: the time of the scrape, in seconds since 1970.
    func metrics(at time: Double) -> [CollectedMetric] {
        var metrics = [
            CollectedMetric(
                MetricDescription(
                    name: "csi_volume_health_driver_connected",
                    help: "Whether the sidecar is connected to the CSI driver (1) or not (0)."
                ),
                value: isDriverConnected ? 1 : 0
            ),
            CollectedMetric(
                MetricDescription(
                    name: "csi_volume_health_leader",
                    help:
                        "Whether this replica monitors volumes (1): it holds the lease, or leader election is disabled."
                ),
                value: health == nil ? 0 : 1
            ),
        ]
        metrics += [.up(isUp), .watchAges(watchSilences), .missingRules(rules)]
        if let lease {
            metrics.append(
                CollectedMetric(
                    // Source: component-base, metrics/prometheus/clientgo/leaderelection/metrics.go.
                    MetricDescription(
                        name: "leader_election_master_status",
                        help: """
                            Gauge of if the reporting system is master of the relevant lease, 0 indicates backup, 1 \
                            indicates master. 'name' is the string used to identify the lease. Please make sure to group \
                            by name.
                            """,
                        labelNames: ["name"]
                    ),
                    samples: [([lease.name], lease.isHeld ? 1 : 0)]
                )
            )
        }
        if let health {
            metrics += health.claimMetrics(at: time) + health.driverMetrics(version: driverVersion)
            metrics += health.stateMetrics + health.queueMetrics
        }
        return metrics
    }
}

extension HealthSnapshot {
    /// A claim has series only while it is unhealthy or flapping.
    fileprivate func claimMetrics(at time: Double) -> [CollectedMetric] {
        let (claims, flapping) = (unhealthyClaims, flappingClaims)
        return [
            CollectedMetric(
                MetricDescription(
                    name: "csi_controller_volume_health_status",
                    help: "Whether the volume of the claim has a condition of this status (1).",
                    labelNames: ["namespace", "persistentvolumeclaim", "status"]
                ),
                samples: claims.flatMap { claim in
                    Set(claim.conditions.map(\.status)).map { ([claim.namespace, claim.name, $0], 1) }
                }
            ),
            CollectedMetric(
                MetricDescription(
                    name: "csi_volume_health_claim_status",
                    help: "Whether the volume of the claim has a condition of this status and reason (1).",
                    labelNames: ["namespace", "persistentvolumeclaim", "status", "reason"]
                ),
                samples: claims.flatMap { claim in
                    claim.conditions.map { ([claim.namespace, claim.name, $0.status, $0.reason], 1) }
                }
            ),
            CollectedMetric(
                MetricDescription(
                    name: "csi_volume_health_last_transition_timestamp_seconds",
                    help: "Last change of the conditions of the claim's volume, in seconds since the Unix epoch.",
                    labelNames: ["namespace", "persistentvolumeclaim"]
                ),
                // Whole seconds, as lastTransitionTime: the same value at each scrape.
                samples: claims.map { ([$0.namespace, $0.name], (time - $0.age / .seconds(1)).rounded()) }
            ),
            CollectedMetric(
                MetricDescription(
                    name: "csi_volume_health_flapping",
                    help: "Whether the claim's volume changes so often that not every change is reported (1).",
                    labelNames: ["namespace", "persistentvolumeclaim"]
                ),
                samples: flapping.map { ([$0.namespace, $0.name], 1) }
            ),
        ]
    }

    fileprivate func driverMetrics(version: String) -> [CollectedMetric] {
        let method = method
        return [
            CollectedMetric(
                MetricDescription(
                    name: "csi_volume_health_driver_info",
                    help:
                        "A metric with a constant value of 1, labeled by the CSI driver's version and the RPC that reports health.",
                    labelNames: ["driver_version", "method", "generation"]
                ),
                samples: method.map { [([version, $0.name, $0.generation], 1)] } ?? []
            ),
            CollectedMetric(
                MetricDescription(
                    name: "csi_volume_health_driver_supported",
                    help: "Whether the CSI driver is able to report volume health (1)."
                ),
                value: missingCapabilities == nil ? 1 : 0
            ),
        ]
    }

    fileprivate var stateMetrics: [CollectedMetric] {
        let (listProblem, probeInterval, unhealthyRatio) = (listProblem, probeInterval, unhealthyRatio)
        let (healthy, unhealthy) = (Double(healthyVolumes), Double(unhealthyVolumes))
        let (stale, unknown) = (Double(staleVolumes), Double(unknownVolumes))
        let (unresponsive, round) = (unresponsiveClaims, lastRound)
        return [
            CollectedMetric(
                MetricDescription(
                    name: "csi_volume_health_status_supported",
                    help: "Whether the API server keeps status.healthStatus of claims (1), as far as known."
                ),
                value: isStatusSupported ? 1 : 0
            ),
            CollectedMetric(
                MetricDescription(
                    name: "csi_volume_health_absence_suspected",
                    help: "Whether so many volumes are missing at once that the CSI driver is suspected (1)."
                ),
                value: isAbsenceSuspected ? 1 : 0
            ),
            CollectedMetric(
                MetricDescription(
                    name: "csi_volume_health_outage",
                    help: "Whether so many volumes are unhealthy together that the CSI driver has an outage (1)."
                ),
                samples: hasOutage.map { [([], $0 ? 1 : 0)] } ?? []
            ),
            CollectedMetric(
                MetricDescription(
                    name: "csi_volume_health_unhealthy_ratio",
                    help: "Ratio of unhealthy volumes to all volumes of the CSI driver that claims use."
                ),
                samples: unhealthyRatio.map { [([], $0)] } ?? []
            ),
            CollectedMetric(
                MetricDescription(
                    name: "csi_volume_health_list_problem",
                    help: "Whether the CSI driver's list of volumes is unusable (1), by problem.",
                    labelNames: ["problem"]
                ),
                samples: ["foreign_ids", "no_conditions"].map { ([$0], $0 == listProblem ? 1 : 0) }
            ),
            CollectedMetric(
                MetricDescription(
                    name: "csi_volume_health_probe_interval_seconds",
                    help: "Actual interval between probes of a volume, if volumes are probed individually."
                ),
                samples: probeInterval.map { [([], $0 / .seconds(1))] } ?? []
            ),
            CollectedMetric(
                MetricDescription(
                    name: "csi_volume_health_unanswered_seconds",
                    help:
                        "Time since the last response for the claim's volume, shown after five intervals without one.",
                    labelNames: ["namespace", "persistentvolumeclaim"]
                ),
                samples: unresponsive.map { ([$0.claim.namespace, $0.claim.name], $0.age / .seconds(1)) }
            ),
            CollectedMetric(
                MetricDescription(
                    name: "csi_volume_health_sweep_volumes",
                    help: "Number of volumes probed in the last interval, by whether the CSI driver responded.",
                    labelNames: ["result"]
                ),
                samples: round.map {
                    [(["answered"], Double($0.responses)), (["unanswered"], Double($0.volumes - $0.responses))]
                } ?? []
            ),
            CollectedMetric(
                MetricDescription(
                    name: "csi_volume_health_volumes",
                    help: "Number of the CSI driver's volumes that have a PersistentVolume, by state.",
                    labelNames: ["state"]
                ),
                samples: [
                    (["unhealthy"], unhealthy), (["healthy"], healthy), (["stale"], stale), (["unknown"], unknown),
                ]
            ),
        ]
    }

    fileprivate var queueMetrics: [CollectedMetric] {
        [
            perQueue(
                .gauge,
                "csi_volume_health_report_queue_depth",
                help: "Number of changes waiting to be reported to the API server.",
                label: "queue"
            ) { Double($0.depth) },
            perQueue(
                .gauge,
                "csi_volume_health_report_queue_oldest_seconds",
                help: "Time the oldest change has been waiting to be reported.",
                label: "queue"
            ) { $0.oldest / .seconds(1) },
            // Source of names and help: component-base, metrics/prometheus/workqueue/metrics.go.
            perQueue(.gauge, "workqueue_depth", help: "Current depth of workqueue", label: "name") {
                Double($0.depth)
            },
            perQueue(
                .counter,
                "workqueue_adds_total",
                help: "Total number of adds handled by workqueue",
                label: "name"
            ) { Double($0.adds) },
            perQueue(
                .gauge,
                "workqueue_unfinished_work_seconds",
                help: """
                    How many seconds of work has done that is in progress and hasn't been observed by work_duration. \
                    Large values indicate stuck threads. One can deduce the number of stuck threads by observing the \
                    rate at which this increases.
                    """,
                label: "name"
            ) { $0.unfinished / .seconds(1) },
            perQueue(
                .gauge,
                "workqueue_longest_running_processor_seconds",
                help: "How many seconds has the longest running processor for workqueue been running.",
                label: "name"
            ) { $0.longestRunning / .seconds(1) },
        ]
    }

    private func perQueue(
        _ kind: CollectedMetric.Kind,
        _ name: String,
        help: String,
        label: String,
        _ value: @escaping @Sendable (HealthSnapshot.Backlog) -> Double
    ) -> CollectedMetric {
        let (events, statuses) = (events, statuses)
        return CollectedMetric(
            kind,
            MetricDescription(name: name, help: help, labelNames: [label]),
            samples: [(["events"], value(events)), (["status"], value(statuses))]
        )
    }
}
