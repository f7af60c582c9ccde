// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import CSIClient
import ControllerMonitor
import HealthRuntime
import KubernetesAPI
import KubernetesClient
import Metrics
import Synchronization

/// The sidecar's metrics, described in docs/metrics.md: what is counted here, and the values of ``SidecarSnapshot``,
/// which are read at the scrape.
///
/// A metric that csi-lib-utils, external-health-monitor, component-base or Prometheus' client libraries have keeps its
/// name, labels and buckets, so that existing dashboards and alerts work.
struct SidecarMetrics: Sendable {
    /// Constant labels and values.
    struct Configuration: Sendable {
        /// Of csi-health-monitor.
        var version: String
        /// The commit, or `unknown` if the build did not set it.
        var revision: String
        /// The compiler's version: `6.3`.
        var swiftVersion: String
        /// `--list-volumes-interval`
        var listVolumesInterval: Duration
        /// `--monitor-interval`
        var monitorInterval: Duration
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
    private let queueDurations: Histogram
    private let clientRequests: Counter
    private let clientRequestDurations: Histogram
    private let lastSweep = LastSweep()

    /// Creates the metrics in `registry`.
    ///
    /// - Parameters:
    ///   - driverName: the CSI driver's name, `unknown-driver` until it is identified, as in csi-lib-utils. Called at each
    ///     scrape.
    ///   - snapshot: called at each scrape.
    init(
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
                help: "Duration of the CSI calls that report volume health.",
                labelNames: ["method"]
            ),
            buckets: [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 30]
        )
        probes = registry.counter(
            MetricDescription(
                name: "csi_volume_health_probe_total",
                help: "Number of CSI calls that report volume health, by result.",
                labelNames: ["method", "result"]
            )
        )
        droppedStatusWrites = registry.counter(
            MetricDescription(
                name: "csi_volume_health_status_writes_dropped_total",
                help: "Number of writes of status.healthStatus that the API server accepted without keeping the field."
            )
        )
        unknownConditions = registry.counter(
            MetricDescription(
                name: "csi_volume_health_unknown_condition_total",
                help: "Number of conditions of an unknown type that the CSI driver reported.",
                labelNames: ["status"]
            )
        )
        unspecifiedReasons = registry.counter(
            MetricDescription(
                name: "csi_volume_health_unspecified_reasons_total",
                help: "Number of conditions without a reason that the CSI driver reported."
            )
        )
        deviations = registry.counter(
            MetricDescription(
                name: "csi_volume_health_reply_deviations_total",
                help: "Number of CSI responses that deviate from the specification but were used.",
                labelNames: ["deviation"]
            )
        )
        apiRequests = registry.counter(
            MetricDescription(
                name: "csi_volume_health_api_requests_total",
                help: "Number of requests to the API server, by verb, resource and HTTP status.",
                labelNames: ["verb", "resource", "code"]
            )
        )
        stepDowns = registry.counter(
            MetricDescription(
                name: "csi_volume_health_step_downs_total",
                help: "Number of times this replica released the lease because it could not monitor, by what failed.",
                labelNames: ["reason"]
            )
        )
        undecodableObjects = registry.counter(
            MetricDescription(
                name: "csi_volume_health_undecodable_objects_total",
                help: "Number of received Kubernetes objects that could not be decoded.",
                labelNames: ["resource"]
            )
        )
        sweeps = registry.histogram(
            MetricDescription(
                name: "csi_volume_health_sweep_seconds",
                help: "Duration of complete sweeps of all volumes."
            ),
            buckets: [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 30, 60, 120, 300, 600]
        )
        reports = registry.counter(
            MetricDescription(
                name: "csi_volume_health_reports_total",
                help: "Number of reports to the API server, by kind and result.",
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
        // ExponentialBuckets(10e-7, 10, 10)
        let queueBuckets = (1..<10).reduce(into: [10e-7]) { bounds, _ in bounds.append(bounds[bounds.count - 1] * 10) }
        workDurations = registry.histogram(
            MetricDescription(
                name: "workqueue_work_duration_seconds",
                help: "How long in seconds processing an item from workqueue takes.",
                labelNames: ["name"]
            ),
            buckets: queueBuckets
        )
        queueDurations = registry.histogram(
            MetricDescription(
                name: "workqueue_queue_duration_seconds",
                help: "How long in seconds an item stays in workqueue before being requested.",
                labelNames: ["name"]
            ),
            buckets: queueBuckets
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
        Self.expose(configuration, in: registry)
        registry.addProcessMetrics()
        let lastSweep = lastSweep
        registry.collect {
            let snapshot = snapshot()
            return snapshot.metrics(at: WallClock.secondsSince1970)
                + (snapshot.health == nil ? [] : lastSweep.metrics)
        }
    }

    /// Metrics that external-health-monitor also has keep exactly its labels.
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
                help: "A metric with a constant value of 1, labeled by version, commit and Swift version.",
                labelNames: ["version", "revision", "swift_version"]
            )
        ).set(1, labels: [configuration.version, configuration.revision, configuration.swiftVersion])
        registry.gauge(
            MetricDescription(
                name: "csi_volume_health_list_volumes_interval_seconds",
                help: "Configured interval between lists of volumes."
            )
        ).set(configuration.listVolumesInterval / .seconds(1))
        registry.gauge(
            MetricDescription(
                name: "csi_volume_health_monitor_interval_seconds",
                help: "Configured interval between probes of a volume, if volumes are probed individually."
            )
        ).set(configuration.monitorInterval / .seconds(1))
    }

    /// The RPCs that report health.
    private static let probeMethods: Set = [
        "ListVolumes", "ControllerGetVolume", "ControllerListVolumeHealth", "ControllerGetVolumeHealth",
    ]

    /// Counts a call to the driver.
    func observe(_ call: CSIClient.CallObservation) {
        let seconds = call.duration / .seconds(1)
        operations.observe(seconds, labels: [call.driverName, call.code, call.method])
        if let deviation = call.deviation { deviations.increment(labels: [deviation.kind.rawValue]) }
        let method = call.method.split(separator: "/").last.map(String.init) ?? ""
        if Self.probeMethods.contains(method) {
            probeDurations.observe(seconds, labels: [method])
            probes.increment(labels: [method, call.isUsable ? "success" : "error"])
        }
    }

    /// Counts a request to the API server.
    func observe(_ request: KubernetesClient.RequestObservation) {
        apiRequests.increment(labels: [request.verb, request.resource, request.code])
        clientRequests.increment(labels: [request.code, request.method, request.host])
        clientRequestDurations.observe(request.duration / .seconds(1), labels: [request.method, request.host])
    }

    func observe(_ observation: MonitorObservation) {
        switch observation {
        case .sweepCompleted(let duration):
            lastSweep.completed(at: WallClock.secondsSince1970, duration: duration)
            sweeps.observe(duration / .seconds(1))
        case .unknownCondition(let type):
            // A driver may send any 32-bit number: bound the series. Future versions of CSI will use the next few
            // numbers.
            unknownConditions.increment(labels: [(0..<16).contains(type) ? "\(type)" : "other"])
        case .unspecifiedReason:
            unspecifiedReasons.increment()
        case .statusWriteDropped:
            droppedStatusWrites.increment()
        case .reported(let report):
            observe(report)
        }
    }

    private func observe(_ report: ReportObservation) {
        reports.increment(labels: [report.kind.rawValue, report.result.rawValue])
        let queue: String
        switch report.kind {
        case .event: queue = "events"
        case .status: queue = "status"
        // The other queues are short and have no metrics.
        case .unknownCondition, .unanswered, .nodeFailure: return
        }
        let isRetried = report.result == .retried || report.result == .refused
        workDurations.observe(report.duration / .seconds(1), labels: [queue])
        queueDurations.observe(report.queued / .seconds(1), labels: [queue])
        retries.increment(by: isRetried ? 1 : 0, labels: [queue])
    }

    /// - Parameter resource: the plural: `persistentvolumeclaims`.
    func countUndecodableObject(resource: String) {
        undecodableObjects.increment(labels: [resource])
    }

    /// This replica is the leader from now on. The last sweep of an earlier term says nothing about this one.
    func termBegan() {
        lastSweep.reset()
    }

    /// This replica released the lease because it could not monitor.
    ///
    /// - Parameter reason: one of a few words: `driver`.
    func countStepDown(_ reason: String) {
        stepDowns.increment(labels: [reason])
    }
}

/// The wall clock.
private enum WallClock {
    static var secondsSince1970: Double {
        let time = Time.now()
        return Double(time.seconds) + Double(time.nanos) / 1e9
    }
}

/// The last complete sweep of the current term.
private final class LastSweep: Sendable {
    private let state = Mutex<(time: Double, duration: Duration)?>(nil)

    /// - Parameter time: in seconds since 1970.
    func completed(at time: Double, duration: Duration) {
        state.withLock { $0 = (time, duration) }
    }

    func reset() {
        state.withLock { $0 = nil }
    }

    /// Absent before the first sweep: a time of 0 would be in 1970.
    var metrics: [CollectedMetric] {
        guard let sweep = state.withLock({ $0 }) else { return [] }
        return [
            CollectedMetric(
                MetricDescription(
                    name: "csi_volume_health_last_sweep_timestamp_seconds",
                    help: "End of the last complete sweep of all volumes, in seconds since the Unix epoch."
                ),
                value: sweep.time
            ),
            CollectedMetric(
                MetricDescription(
                    name: "csi_volume_health_sweep_duration_seconds",
                    help: "Duration of the last complete sweep of all volumes."
                ),
                value: sweep.duration / .seconds(1)
            ),
        ]
    }
}
