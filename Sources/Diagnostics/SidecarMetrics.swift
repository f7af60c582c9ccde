// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// The sidecar's metrics: every name, label and bucket is in this file, and explained in docs/metrics.md.
///
/// Names are those of csi-lib-utils and of external-health-monitor where they have the metric, so that dashboards and
/// alerts for them work.
public struct SidecarMetrics: Sendable {
    private let operations: Histogram
    private let probeDurations: Histogram
    private let probes: Counter
    private let droppedStatusWrites: Counter
    private let unknownConditions: Counter
    private let unspecifiedReasons: Counter
    private let deviations: Counter
    private let apiRequests: Counter
    private let undecodableObjects: Counter
    private let lastSweep: Gauge
    private let sweepDuration: Gauge

    /// Makes the metrics in `registry`, and tells it when the process started.
    ///
    /// - Parameter snapshot: what is so, asked for at each scrape.
    public init(registry: MetricsRegistry, snapshot: @escaping @Sendable () -> SidecarSnapshot) {
        operations = registry.histogram(
            MetricDescription(
                name: "csi_sidecar_operations_seconds",
                help: "Container Storage Interface operation duration with gRPC error code status total",
                labelNames: ["driver_name", "grpc_status_code", "method_name"]
            ),
            buckets: [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 25, 50, 120, 300, 600]
        )
        probeDurations = registry.histogram(
            MetricDescription(
                name: "csi_volume_health_probe_duration_seconds",
                help: "Duration of the calls that ask the driver for the health of volumes.",
                labelNames: ["method"]
            ),
            buckets: [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 30]
        )
        probes = registry.counter(
            MetricDescription(
                name: "csi_volume_health_probe_total",
                help: "Calls that ask the driver for the health of volumes, by their result.",
                labelNames: ["method", "result"]
            )
        )
        droppedStatusWrites = registry.counter(
            MetricDescription(
                name: "csi_volume_health_status_writes_dropped_total",
                help: "Writes of a claim's health that the API server answered without keeping the field."
            )
        )
        unknownConditions = registry.counter(
            MetricDescription(
                name: "csi_volume_health_unknown_condition_total",
                help: "Conditions of a type that is not known, as often as the driver told them.",
                labelNames: ["status"]
            )
        )
        unspecifiedReasons = registry.counter(
            MetricDescription(
                name: "csi_volume_health_unspecified_reasons_total",
                help: "Conditions without a reason, as often as the driver told them."
            )
        )
        deviations = registry.counter(
            MetricDescription(
                name: "csi_volume_health_reply_deviations_total",
                help: "Replies of the CSI driver that were used although they deviate from the CSI specification.",
                labelNames: ["deviation"]
            )
        )
        apiRequests = registry.counter(
            MetricDescription(
                name: "csi_volume_health_api_requests_total",
                help: "Requests to the API server, by verb, resource and HTTP status.",
                labelNames: ["verb", "resource", "code"]
            )
        )
        undecodableObjects = registry.counter(
            MetricDescription(
                name: "csi_volume_health_undecodable_objects_total",
                help: "Objects of the API server that could not be decoded, as often as they were received.",
                labelNames: ["resource"]
            )
        )
        lastSweep = registry.gauge(
            MetricDescription(
                name: "csi_volume_health_last_sweep_timestamp_seconds",
                help:
                    "When all volumes were last asked for and answered, in seconds since 1970; 0 before the first time."
            )
        )
        sweepDuration = registry.gauge(
            MetricDescription(
                name: "csi_volume_health_sweep_duration_seconds",
                help: "How long asking for all volumes took the last time."
            )
        )
        if let start = ProcessStartTime.ofThisProcess() {
            let startTime = registry.gauge(
                MetricDescription(
                    name: "process_start_time_seconds",
                    help: "Start time of the process since unix epoch in seconds."
                )
            )
            startTime.set(start)
        }
        registry.collect { snapshot().gauges }
    }

    /// Counts one call to the driver.
    ///
    /// - Parameters:
    ///   - driverName: as GetPluginInfo tells it.
    ///   - statusCode: the canonical name of the gRPC status: `OK`, `DeadlineExceeded`.
    ///   - method: the full method: `/csi.v1.Identity/Probe`.
    ///   - duration: from sending to the answer.
    public func observeOperation(driverName: String, statusCode: String, method: String, duration: Duration) {
        operations.observe(duration / .seconds(1), labels: [driverName, statusCode, method])
    }

    /// Counts one call that asks for health.
    ///
    /// - Parameter method: without its service: `ListVolumes`.
    public func observeProbe(method: String, succeeded: Bool, duration: Duration) {
        probeDurations.observe(duration / .seconds(1), labels: [method])
        probes.increment(labels: [method, succeeded ? "success" : "error"])
    }

    /// Counts a reply that was used although it deviates from the specification.
    ///
    /// - Parameter deviation: one of a few names: `volume_id_differs`.
    public func countDeviation(_ deviation: String) {
        deviations.increment(labels: [deviation])
    }

    /// All volumes were asked for and answered, just now.
    public func sweepCompleted(duration: Duration) {
        lastSweep.set(LogTime.now().secondsSince1970)
        sweepDuration.set(duration / .seconds(1))
    }

    /// The driver told a condition of an unknown type.
    public func countUnknownCondition(type: Int) {
        // A driver may send any of four billion numbers; the next versions of CSI will use the next few.
        unknownConditions.increment(labels: [(0..<16).contains(type) ? "\(type)" : "other"])
    }

    /// The driver told a condition without a reason.
    public func countUnspecifiedReason() {
        unspecifiedReasons.increment()
    }

    /// The API server has no place for a claim's health.
    public func countDroppedStatusWrite() {
        droppedStatusWrites.increment()
    }

    /// A request to the API server has ended.
    ///
    /// - Parameters:
    ///   - verb: of the RBAC rule: `patch`.
    ///   - resource: as RBAC has it: `persistentvolumeclaims/status`.
    ///   - code: the HTTP status, or `<error>` where none came.
    public func countAPIRequest(verb: String, resource: String, code: String) {
        apiRequests.increment(labels: [verb, resource, code])
    }

    /// An object of a list or a watch was skipped.
    ///
    /// - Parameter resource: as RBAC has it: `persistentvolumeclaims`.
    public func countUndecodableObject(resource: String) {
        undecodableObjects.increment(labels: [resource])
    }
}

/// What the sidecar knows at the moment of a scrape.
public struct SidecarSnapshot: Sendable {
    /// What waits for the API server.
    public struct Queue: Sendable {
        /// How many.
        public var depth: Int
        /// How long the oldest waits; zero when there is none.
        public var oldest: Duration

        /// A queue.
        public init(depth: Int, oldest: Duration) {
            self.depth = depth
            self.oldest = oldest
        }
    }

    /// What a leader knows of the volumes.
    public struct Volumes: Sendable {
        /// A claim whose volume is not well.
        public struct AdverseClaim: Sendable {
            /// `metadata.namespace`
            public var namespace: String
            /// `metadata.name`
            public var name: String
            /// Each once: `Degraded`, `Inaccessible`, `DataLoss`.
            public var statuses: Set<String>

            /// A claim.
            public init(namespace: String, name: String, statuses: Set<String>) {
                self.namespace = namespace
                self.name = name
                self.statuses = statuses
            }
        }

        /// Claims whose volumes are not well.
        public var adverseClaims: [AdverseClaim]
        /// How many volumes are well.
        public var healthy: Int
        /// How many are not.
        public var adverse: Int
        /// Of how many nothing is known.
        public var unknown: Int
        /// Events to be told.
        public var events: Queue
        /// Status fields to be written.
        public var statuses: Queue
        /// Whether the driver tells the health of its volumes at all.
        public var isDriverSupported: Bool
        /// Whether the API server keeps status fields, as far as is known.
        public var isStatusSupported: Bool
        /// Whether so many volumes are missing at once that none of them is reported.
        public var isAbsenceSuspected: Bool
        /// Why the driver's list of volumes is of no use: `no_conditions`, `foreign_ids`; nil while it is.
        public var listProblem: String?
        /// From one probe of a volume to its next; nil while volumes are not probed one by one.
        public var probeInterval: Duration?

        /// What is known.
        public init(
            adverseClaims: [AdverseClaim],
            healthy: Int,
            adverse: Int,
            unknown: Int,
            events: Queue,
            statuses: Queue,
            isDriverSupported: Bool,
            isStatusSupported: Bool = true,
            isAbsenceSuspected: Bool = false,
            listProblem: String? = nil,
            probeInterval: Duration? = nil
        ) {
            self.adverseClaims = adverseClaims
            self.healthy = healthy
            self.adverse = adverse
            self.unknown = unknown
            self.events = events
            self.statuses = statuses
            self.isDriverSupported = isDriverSupported
            self.isStatusSupported = isStatusSupported
            self.isAbsenceSuspected = isAbsenceSuspected
            self.listProblem = listProblem
            self.probeInterval = probeInterval
        }
    }

    /// Whether the connection to the driver stands.
    public var isDriverConnected: Bool
    /// nil on a standby, which knows nothing of volumes: its series are absent, so that no volume is counted twice.
    public var volumes: Volumes?

    /// What is known.
    public init(isDriverConnected: Bool, volumes: Volumes?) {
        self.isDriverConnected = isDriverConnected
        self.volumes = volumes
    }
}

extension SidecarSnapshot {
    var gauges: [CollectedGauge] {
        var gauges = [
            CollectedGauge(
                MetricDescription(
                    name: "csi_volume_health_driver_connected",
                    help: "Whether the connection to the CSI driver stands."
                ),
                value: isDriverConnected ? 1 : 0
            ),
            CollectedGauge(
                MetricDescription(
                    name: "csi_volume_health_leader",
                    help: "Whether this replica monitors: it holds the lease, or works without one."
                ),
                value: volumes == nil ? 0 : 1
            ),
        ]
        if let volumes { gauges += volumes.gauges }
        return gauges
    }
}

extension SidecarSnapshot.Volumes {
    fileprivate var gauges: [CollectedGauge] {
        [
            CollectedGauge(
                MetricDescription(
                    name: "csi_controller_volume_health_status",
                    help: "1 while the volume of the claim has a condition of this status.",
                    labelNames: ["namespace", "persistentvolumeclaim", "status"]
                ),
                samples: adverseClaims.flatMap { claim in
                    claim.statuses.map { (labels: [claim.namespace, claim.name, $0], value: 1) }
                }
            ),
            CollectedGauge(
                MetricDescription(
                    name: "csi_volume_health_driver_supported",
                    help: "Whether the CSI driver tells the health of its volumes."
                ),
                value: isDriverSupported ? 1 : 0
            ),
            CollectedGauge(
                MetricDescription(
                    name: "csi_volume_health_status_supported",
                    help: "Whether the API server keeps status.healthStatus of claims, as far as is known."
                ),
                value: isStatusSupported ? 1 : 0
            ),
            CollectedGauge(
                MetricDescription(
                    name: "csi_volume_health_absence_suspected",
                    help: "Whether so many volumes are missing at once that the CSI driver is suspected."
                ),
                value: isAbsenceSuspected ? 1 : 0
            ),
            CollectedGauge(
                MetricDescription(
                    name: "csi_volume_health_list_problem",
                    help: "Whether the CSI driver's list of volumes is of no use, by the reason.",
                    labelNames: ["problem"]
                ),
                samples: ["foreign_ids", "no_conditions"].map { ([$0], $0 == listProblem ? 1 : 0) }
            ),
            CollectedGauge(
                MetricDescription(
                    name: "csi_volume_health_probe_interval_seconds",
                    help: "From one probe of a volume to its next, as it is kept, where volumes are probed one by one."
                ),
                samples: probeInterval.map { [([], $0 / .seconds(1))] } ?? []
            ),
            CollectedGauge(
                MetricDescription(
                    name: "csi_volume_health_volumes",
                    help: "Volumes of the driver that a PersistentVolume has, by what is known of them.",
                    labelNames: ["state"]
                ),
                samples: [
                    (["adverse"], Double(adverse)), (["healthy"], Double(healthy)), (["unknown"], Double(unknown)),
                ]
            ),
            CollectedGauge(
                MetricDescription(
                    name: "csi_volume_health_report_queue_depth",
                    help: "Changes that wait to be told to the API server.",
                    labelNames: ["queue"]
                ),
                samples: [(["events"], Double(events.depth)), (["status"], Double(statuses.depth))]
            ),
            CollectedGauge(
                MetricDescription(
                    name: "csi_volume_health_report_queue_oldest_seconds",
                    help: "How long the oldest change waits to be told.",
                    labelNames: ["queue"]
                ),
                samples: [
                    (["events"], events.oldest / .seconds(1)), (["status"], statuses.oldest / .seconds(1)),
                ]
            ),
        ]
    }
}
