// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import CSIClient
import ControllerMonitor
import HealthRuntime
import KubernetesAPI
import KubernetesClient
import Metrics
import Synchronization

/// The controller's metrics, described in docs/metrics.md: ``CommonMetrics``, what is counted here, and the values of
/// ``SidecarSnapshot``, which are read at the scrape.
struct SidecarMetrics: Sendable {
    /// Constant labels and values.
    struct Configuration: Sendable {
        var build: CommonMetrics.Build
        /// `--list-volumes-interval`
        var listVolumesInterval: Duration
        /// `--monitor-interval`
        var monitorInterval: Duration
    }

    private let common: CommonMetrics
    private let droppedStatusWrites: Counter
    private let deviations: Counter
    private let stepDowns: Counter
    private let sweeps: Histogram
    private let retries: Counter
    private let workDurations: Histogram
    private let queueDurations: Histogram
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
        common = CommonMetrics(registry: registry, build: configuration.build, probeMethods: Self.probeMethods)
        droppedStatusWrites = registry.counter(
            MetricDescription(
                name: "csi_volume_health_status_writes_dropped_total",
                help: "Number of writes of status.healthStatus that the API server accepted without keeping the field."
            )
        )
        deviations = registry.counter(
            MetricDescription(
                name: "csi_volume_health_reply_deviations_total",
                help: "Number of CSI responses that deviate from the specification but were used.",
                labelNames: ["deviation"]
            )
        )
        stepDowns = registry.counter(
            MetricDescription(
                name: "csi_volume_health_step_downs_total",
                help: "Number of times this replica released the lease because it could not monitor, by what failed.",
                labelNames: ["reason"]
            )
        )
        sweeps = registry.histogram(
            MetricDescription(
                name: "csi_volume_health_sweep_seconds",
                help: "Duration of complete sweeps of all volumes."
            ),
            buckets: [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 30, 60, 120, 300, 600]
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
        Self.expose(configuration, in: registry)
        let lastSweep = lastSweep
        registry.collect {
            let snapshot = snapshot()
            return snapshot.metrics(at: WallClock.secondsSince1970)
                + (snapshot.health == nil ? [] : lastSweep.metrics)
        }
    }

    /// Metrics that external-health-monitor also has keep exactly its labels.
    private static let withoutDriverName: Set = [
        "csi_volume_health_probe_duration_seconds", "csi_volume_health_probe_total",
        "csi_volume_health_status_writes_dropped_total", "csi_volume_health_unknown_condition_total",
    ]

    private static func hasDriverName(_ metric: String) -> Bool {
        metric.hasPrefix("csi_volume_health_") && !withoutDriverName.contains(metric)
    }

    private static func expose(_ configuration: Configuration, in registry: MetricsRegistry) {
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
        common.observe(call)
        if let deviation = call.deviation { deviations.increment(labels: [deviation.kind.rawValue]) }
    }

    /// Counts a request to the API server.
    func observe(_ request: KubernetesClient.RequestObservation) { common.observe(request) }

    func observe(_ observation: MonitorObservation) {
        switch observation {
        case .sweepCompleted(let duration):
            lastSweep.completed(at: WallClock.secondsSince1970, duration: duration)
            sweeps.observe(duration / .seconds(1))
        case .unknownCondition(let type):
            common.countUnknownCondition(type: type)
        case .unspecifiedReason:
            common.countUnspecifiedReason()
        case .statusWriteDropped:
            droppedStatusWrites.increment()
        case .reported(let report):
            observe(report)
        }
    }

    private func observe(_ report: ReportObservation) {
        common.observe(report)
        let queue: String
        switch report.kind {
        case .event: queue = "events"
        case .status: queue = "status"
        // The other queues are short and have no metrics.
        case .unknownCondition, .unresponsive, .flapping, .outage, .nodeFailure: return
        }
        let isRetried = report.result == .retried || report.result == .refused
        workDurations.observe(report.duration / .seconds(1), labels: [queue])
        queueDurations.observe(report.queued / .seconds(1), labels: [queue])
        retries.increment(by: isRetried ? 1 : 0, labels: [queue])
    }

    /// - Parameter resource: the plural: `persistentvolumeclaims`.
    func countUndecodableObject(resource: String) {
        common.countUndecodableObject(resource: resource)
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
