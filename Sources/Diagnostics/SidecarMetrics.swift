// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Synchronization

/// The sidecar's metrics, explained in docs/metrics.md: what is counted, while `SidecarSnapshot` has what is read at the
/// scrape.
///
/// Names are those of csi-lib-utils, external-health-monitor, component-base and Prometheus' client libraries where they
/// have the metric, with their labels and buckets, so that dashboards and alerts for them work.
package struct SidecarMetrics: Sendable {
    /// What does not change while the process runs.
    package struct Configuration: Sendable {
        /// Of this program.
        package var version: String
        /// The commit it was built from; `unknown` where the build did not set it.
        package var revision: String
        /// The compiler's, `6.2`.
        package var swiftVersion: String
        /// `--list-volumes-interval`
        package var listVolumesInterval: Duration
        /// `--monitor-interval`
        package var monitorInterval: Duration

        /// Describes a process.
        package init(
            version: String,
            revision: String,
            swiftVersion: String,
            listVolumesInterval: Duration,
            monitorInterval: Duration
        ) {
            self.version = version
            self.revision = revision
            self.swiftVersion = swiftVersion
            self.listVolumesInterval = listVolumesInterval
            self.monitorInterval = monitorInterval
        }
    }

    private let operations: Histogram
    private let probeDurations: Histogram
    private let probes: Counter
    private let droppedStatusWrites: Counter
    private let unknownConditions: Counter
    private let unspecifiedReasons: Counter
    private let deviations: Counter
    private let apiRequests: Counter
    private let undecodableObjects: Counter
    private let stepDowns: Counter
    private let sweeps: Histogram
    private let reports: Counter
    private let retries: Counter
    private let workDurations: Histogram
    private let clientRequests: Counter
    private let clientRequestDurations: Histogram
    private let lastSweep = LastSweep()

    /// Makes the metrics in `registry`.
    ///
    /// - Parameters:
    ///   - driverName: of the CSI driver; `unknown-driver` until it is identified, as csi-lib-utils has it. Called at each
    ///     scrape.
    ///   - snapshot: called at each scrape.
    package init(
        registry: MetricsRegistry,
        configuration: Configuration,
        driverName: @escaping @Sendable () -> String,
        snapshot: @escaping @Sendable () -> SidecarSnapshot
    ) {
        registry.set(
            CommonLabel(name: "driver_name", isOnMetric: Self.hasDriverName, value: driverName)
        )
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
                help: "Conditions of a type that is not known, as often as the driver reported them.",
                labelNames: ["status"]
            )
        )
        unspecifiedReasons = registry.counter(
            MetricDescription(
                name: "csi_volume_health_unspecified_reasons_total",
                help: "Conditions without a reason, as often as the driver reported them."
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
        stepDowns = registry.counter(
            MetricDescription(
                name: "csi_volume_health_step_downs_total",
                help: "How often this replica gave the lease back because it saw nothing, by what failed.",
                labelNames: ["reason"]
            )
        )
        undecodableObjects = registry.counter(
            MetricDescription(
                name: "csi_volume_health_undecodable_objects_total",
                help: "Objects of the API server that could not be decoded, as often as they were received.",
                labelNames: ["resource"]
            )
        )
        sweeps = registry.histogram(
            MetricDescription(
                name: "csi_volume_health_sweep_seconds",
                help: "Duration of complete lists of volumes; where volumes are probed one by one, the interval."
            ),
            buckets: [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 30, 60, 120, 300, 600]
        )
        reports = registry.counter(
            MetricDescription(
                name: "csi_volume_health_reports_total",
                help: "Reports to the API server, by kind and result.",
                labelNames: ["kind", "result"]
            )
        )
        // Source of names, help and buckets: component-base, metrics/prometheus/workqueue/metrics.go.
        retries = registry.counter(
            MetricDescription(
                name: "workqueue_retries_total",
                help: "Total number of retries handled by workqueue",
                labelNames: ["name"]
            )
        )
        workDurations = registry.histogram(
            MetricDescription(
                name: "workqueue_work_duration_seconds",
                help: "How long in seconds processing an item from workqueue takes.",
                labelNames: ["name"]
            ),
            // ExponentialBuckets(10e-7, 10, 10)
            buckets: (1..<10).reduce(into: [10e-7]) { bounds, _ in bounds.append(bounds[bounds.count - 1] * 10) }
        )
        // Source of names, help and buckets: component-base, metrics/prometheus/restclient/metrics.go.
        clientRequests = registry.counter(
            MetricDescription(
                name: "rest_client_requests_total",
                help: "Number of HTTP requests, partitioned by status code, method, and host.",
                labelNames: ["code", "method", "host"]
            )
        )
        clientRequestDurations = registry.histogram(
            MetricDescription(
                name: "rest_client_request_duration_seconds",
                help: "Request latency in seconds. Broken down by verb, and host.",
                labelNames: ["verb", "host"]
            ),
            buckets: [0.005, 0.025, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60]
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
        Self.expose(configuration, in: registry)
        registry.collect { ProcessMetrics.ofThisProcess().metrics }
        let lastSweep = lastSweep
        registry.collect {
            let snapshot = snapshot()
            return snapshot.metrics(at: LogTime.now().secondsSince1970)
                + (snapshot.volumes == nil ? [] : lastSweep.metrics)
        }
    }

    /// Metrics that external-health-monitor has too keep exactly its labels.
    private static let withoutDriverName: Set = [
        "csi_volume_health_build_info", "csi_volume_health_probe_duration_seconds", "csi_volume_health_probe_total",
        "csi_volume_health_status_writes_dropped_total", "csi_volume_health_unknown_condition_total",
    ]

    private static func hasDriverName(_ metric: String) -> Bool {
        metric.hasPrefix("csi_volume_health_") && !withoutDriverName.contains(metric)
    }

    private static func expose(_ configuration: Configuration, in registry: MetricsRegistry) {
        registry.gauge(
            MetricDescription(
                name: "csi_volume_health_build_info",
                help: "1, with the version of csi-health-monitor, the commit and the compiler it was built from.",
                labelNames: ["version", "revision", "swift_version"]
            )
        ).set(1, labels: [configuration.version, configuration.revision, configuration.swiftVersion])
        registry.gauge(
            MetricDescription(
                name: "csi_volume_health_list_volumes_interval_seconds",
                help: "The configured interval between lists of volumes."
            )
        ).set(configuration.listVolumesInterval / .seconds(1))
        registry.gauge(
            MetricDescription(
                name: "csi_volume_health_monitor_interval_seconds",
                help: "The configured interval between probes of a volume, where volumes are probed one by one."
            )
        ).set(configuration.monitorInterval / .seconds(1))
    }

    /// Counts one call to the driver.
    ///
    /// - Parameters:
    ///   - driverName: as GetPluginInfo has it.
    ///   - statusCode: the canonical name of the gRPC status: `OK`, `DeadlineExceeded`.
    ///   - method: the full method: `/csi.v1.Identity/Probe`.
    ///   - duration: from sending to the answer.
    package func observeOperation(driverName: String, statusCode: String, method: String, duration: Duration) {
        operations.observe(duration / .seconds(1), labels: [driverName, statusCode, method])
    }

    /// Counts one call that asks for health.
    ///
    /// - Parameter method: without its service: `ListVolumes`.
    package func observeProbe(method: String, succeeded: Bool, duration: Duration) {
        probeDurations.observe(duration / .seconds(1), labels: [method])
        probes.increment(labels: [method, succeeded ? "success" : "error"])
    }

    /// Counts a reply that was used although it deviates from the specification.
    ///
    /// - Parameter deviation: one of a few names: `volume_id_differs`.
    package func countDeviation(_ deviation: String) {
        deviations.increment(labels: [deviation])
    }

    /// This replica leads from now on: what an earlier term has swept is not known to be true any more.
    package func termBegan() {
        lastSweep.forget()
    }

    /// All volumes were probed and the driver has answered for each, just now.
    package func sweepCompleted(duration: Duration) {
        lastSweep.completed(at: LogTime.now().secondsSince1970, duration: duration)
        sweeps.observe(duration / .seconds(1))
    }

    /// A report to the API server has ended.
    ///
    /// - Parameters:
    ///   - kind: `event`, `status`; one of a few.
    ///   - result: `recorded`, `retried`; one of a few.
    package func countReport(kind: String, result: String) {
        reports.increment(labels: [kind, result])
    }

    /// An item of a queue was processed.
    ///
    /// - Parameters:
    ///   - queue: as ``SidecarSnapshot`` has them: `events`, `status`.
    ///   - isRetried: whether it will be processed again.
    ///   - duration: from taking it out of the queue to the end of the last request about it.
    package func observeWork(queue: String, isRetried: Bool, duration: Duration) {
        workDurations.observe(duration / .seconds(1), labels: [queue])
        retries.increment(by: isRetried ? 1 : 0, labels: [queue])
    }

    /// The driver reported a condition of an unknown type.
    package func countUnknownCondition(type: Int) {
        // A driver may send any of four billion numbers; the next versions of CSI will use the next few.
        unknownConditions.increment(labels: [(0..<16).contains(type) ? "\(type)" : "other"])
    }

    /// The driver reported a condition without a reason.
    package func countUnspecifiedReason() {
        unspecifiedReasons.increment()
    }

    /// The API server has no place for a claim's health.
    package func countDroppedStatusWrite() {
        droppedStatusWrites.increment()
    }

    /// A request to the API server has ended.
    ///
    /// - Parameters:
    ///   - verb: of the RBAC rule: `patch`.
    ///   - resource: as RBAC has it: `persistentvolumeclaims/status`.
    ///   - code: the HTTP status, or `<error>` where no response came.
    ///   - method: of HTTP: `PATCH`. client-go's `verb` as well.
    ///   - host: of the API server's URL, with the port where the URL has one: `10.96.0.1:443`.
    ///   - duration: to the end of the response; of a watch, to its beginning.
    package func observeAPIRequest(
        verb: String,
        resource: String,
        code: String,
        method: String,
        host: String,
        duration: Duration
    ) {
        apiRequests.increment(labels: [verb, resource, code])
        clientRequests.increment(labels: [code, method, host])
        clientRequestDurations.observe(duration / .seconds(1), labels: [method, host])
    }

    /// The lease was given back because this replica saw nothing.
    ///
    /// - Parameter reason: one of a few words: `driver`.
    package func countStepDown(_ reason: String) {
        stepDowns.increment(labels: [reason])
    }

    /// An object of a list or a watch was skipped.
    ///
    /// - Parameter resource: as RBAC has it: `persistentvolumeclaims`.
    package func countUndecodableObject(resource: String) {
        undecodableObjects.increment(labels: [resource])
    }
}

/// The last complete sweep of the current term.
private final class LastSweep: Sendable {
    private let state = Mutex<(time: Double, duration: Duration)?>(nil)

    /// - Parameter time: in seconds since 1970.
    func completed(at time: Double, duration: Duration) {
        state.withLock { $0 = (time, duration) }
    }

    func forget() {
        state.withLock { $0 = nil }
    }

    /// None before the first sweep: a time of 0 would be in 1970.
    var metrics: [CollectedMetric] {
        guard let sweep = state.withLock({ $0 }) else { return [] }
        return [
            CollectedMetric(
                MetricDescription(
                    name: "csi_volume_health_last_sweep_timestamp_seconds",
                    help: "When the last complete sweep of all volumes ended, in seconds since 1970."
                ),
                value: sweep.time
            ),
            CollectedMetric(
                MetricDescription(
                    name: "csi_volume_health_sweep_duration_seconds",
                    help: "How long the last complete sweep took."
                ),
                value: sweep.duration / .seconds(1)
            ),
        ]
    }
}
