// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

extension SidecarSnapshot {
    /// - Parameter time: when the snapshot was taken, in seconds since 1970.
    func metrics(at time: Double) -> [CollectedMetric] {
        var metrics = [
            CollectedMetric(
                MetricDescription(
                    name: "csi_volume_health_driver_connected",
                    help: "Whether there is a connection to the CSI driver."
                ),
                value: isDriverConnected ? 1 : 0
            ),
            CollectedMetric(
                MetricDescription(
                    name: "csi_volume_health_leader",
                    help: "Whether this replica monitors: it holds the lease, or works without one."
                ),
                value: volumes == nil ? 0 : 1
            ),
        ]
        metrics.append(
            CollectedMetric(
                MetricDescription(
                    name: "csi_volume_health_up",
                    help: "Whether everything works that is needed for a report, as /readyz says."
                ),
                value: isUp ? 1 : 0
            )
        )
        metrics.append(
            CollectedMetric(
                MetricDescription(
                    name: "csi_volume_health_watch_age_seconds",
                    help: "Since the last event or bookmark of a watch of the API server.",
                    labelNames: ["resource"]
                ),
                samples: watchSilences.map { ([$0.resource], $0.age / .seconds(1)) }
            )
        )
        metrics.append(
            CollectedMetric(
                MetricDescription(
                    name: "csi_volume_health_rbac_rule_missing",
                    help: "Whether an RBAC rule is missing that a request was refused for.",
                    labelNames: ["rule"]
                ),
                samples: rules.map { ([$0.rule], $0.isMissing ? 1 : 0) }
            )
        )
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
        if let volumes {
            metrics += volumes.claimMetrics(at: time) + volumes.driverMetrics + volumes.stateMetrics
            metrics += volumes.queueMetrics
        }
        return metrics
    }
}

extension SidecarSnapshot.Volumes {
    /// A series exists only while its claim is unhealthy.
    fileprivate func claimMetrics(at time: Double) -> [CollectedMetric] {
        let claims = unhealthyClaims
        return [
            CollectedMetric(
                MetricDescription(
                    name: "csi_controller_volume_health_status",
                    help: "1 while the volume of the claim has a condition of this status.",
                    labelNames: ["namespace", "persistentvolumeclaim", "status"]
                ),
                samples: claims.flatMap { claim in
                    Set(claim.conditions.map(\.status)).map { ([claim.namespace, claim.name, $0], 1) }
                }
            ),
            CollectedMetric(
                MetricDescription(
                    name: "csi_volume_health_claim_status",
                    help: "1 while the volume of the claim has a condition of this status and reason.",
                    labelNames: ["namespace", "persistentvolumeclaim", "status", "reason"]
                ),
                samples: claims.flatMap { claim in
                    claim.conditions.map { ([claim.namespace, claim.name, $0.status, $0.reason], 1) }
                }
            ),
            CollectedMetric(
                MetricDescription(
                    name: "csi_volume_health_last_transition_timestamp_seconds",
                    help: "Since when the volume of the claim has its conditions, in seconds since 1970.",
                    labelNames: ["namespace", "persistentvolumeclaim"]
                ),
                // Whole seconds, as lastTransitionTime has: the same at each scrape.
                samples: claims.map { ([$0.namespace, $0.name], (time - $0.age / .seconds(1)).rounded()) }
            ),
        ]
    }

    fileprivate var driverMetrics: [CollectedMetric] {
        let driver = driver
        return [
            CollectedMetric(
                MetricDescription(
                    name: "csi_volume_health_driver_info",
                    help: "1, with the version of the CSI driver and how it is probed.",
                    labelNames: ["driver_version", "method", "generation"]
                ),
                samples: driver.map { [([$0.version, $0.method, $0.generation], 1)] } ?? []
            ),
            CollectedMetric(
                MetricDescription(
                    name: "csi_volume_health_driver_supported",
                    help: "Whether the CSI driver reports the health of its volumes."
                ),
                value: isDriverSupported ? 1 : 0
            ),
        ]
    }

    fileprivate var stateMetrics: [CollectedMetric] {
        let (listProblem, probeInterval) = (listProblem, probeInterval)
        let (unhealthy, healthy, unknown, stale) = (unhealthy, healthy, unknown, stale)
        let (unanswered, round) = (unanswered, round)
        return [
            CollectedMetric(
                MetricDescription(
                    name: "csi_volume_health_status_supported",
                    help: "Whether the API server keeps status.healthStatus of claims, as far as is known."
                ),
                value: isStatusSupported ? 1 : 0
            ),
            CollectedMetric(
                MetricDescription(
                    name: "csi_volume_health_absence_suspected",
                    help: "Whether so many volumes are missing at once that the CSI driver is suspected."
                ),
                value: isAbsenceSuspected ? 1 : 0
            ),
            CollectedMetric(
                MetricDescription(
                    name: "csi_volume_health_list_problem",
                    help: "Whether the CSI driver's list of volumes is of no use, by the reason.",
                    labelNames: ["problem"]
                ),
                samples: ["foreign_ids", "no_conditions"].map { ([$0], $0 == listProblem ? 1 : 0) }
            ),
            CollectedMetric(
                MetricDescription(
                    name: "csi_volume_health_probe_interval_seconds",
                    help: "From one probe of a volume to its next, as it is kept, where volumes are probed one by one."
                ),
                samples: probeInterval.map { [([], $0 / .seconds(1))] } ?? []
            ),
            CollectedMetric(
                MetricDescription(
                    name: "csi_volume_health_unanswered_seconds",
                    help: "Since the last answer for the volume of the claim, once that is five intervals ago.",
                    labelNames: ["namespace", "persistentvolumeclaim"]
                ),
                samples: unanswered.map { ([$0.namespace, $0.name], $0.age / .seconds(1)) }
            ),
            CollectedMetric(
                MetricDescription(
                    name: "csi_volume_health_sweep_volumes",
                    help: "Volumes probed one by one in the last interval, by whether the driver answered.",
                    labelNames: ["result"]
                ),
                samples: round.map {
                    [(["answered"], Double($0.answered)), (["unanswered"], Double($0.volumes - $0.answered))]
                } ?? []
            ),
            CollectedMetric(
                MetricDescription(
                    name: "csi_volume_health_volumes",
                    help: "Volumes of the driver that a PersistentVolume has, by what is known of them.",
                    labelNames: ["state"]
                ),
                samples: [
                    (["unhealthy"], Double(unhealthy)), (["healthy"], Double(healthy)), (["stale"], Double(stale)),
                    (["unknown"], Double(unknown)),
                ]
            ),
        ]
    }

    fileprivate var queueMetrics: [CollectedMetric] {
        [
            perQueue(
                .gauge,
                "csi_volume_health_report_queue_depth",
                help: "Changes that wait to be reported to the API server.",
                label: "queue"
            ) { Double($0.depth) },
            perQueue(
                .gauge,
                "csi_volume_health_report_queue_oldest_seconds",
                help: "How long the oldest change waits to be reported.",
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
        ]
    }

    private func perQueue(
        _ kind: CollectedMetric.Kind,
        _ name: String,
        help: String,
        label: String,
        _ value: @escaping @Sendable (SidecarSnapshot.Queue) -> Double
    ) -> CollectedMetric {
        let (events, statuses) = (events, statuses)
        return CollectedMetric(
            kind,
            MetricDescription(name: name, help: help, labelNames: [label]),
            samples: [(["events"], value(events)), (["status"], value(statuses))]
        )
    }
}
