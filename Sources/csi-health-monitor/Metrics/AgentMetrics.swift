// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import CSIClient
import HealthRuntime
import KubernetesClient
import Metrics

/// The agent's metrics, described in docs/metrics.md: ``CommonMetrics``, and the values of ``AgentSnapshot``, which are
/// read at the scrape.
struct AgentMetrics: Sendable {
    private let common: CommonMetrics

    /// The RPCs that report health.
    private static let probeMethods: Set = ["NodeGetVolumeStats", "NodeGetVolumeHealth", "NodeGetStorageHealth"]

    /// Creates the metrics in `registry`.
    ///
    /// - Parameters:
    ///   - monitorInterval: `--monitor-interval`
    ///   - snapshot: called at each scrape.
    init(
        registry: MetricsRegistry,
        build: CommonMetrics.Build,
        monitorInterval: Duration,
        snapshot: @escaping @Sendable () -> AgentSnapshot
    ) {
        common = CommonMetrics(registry: registry, build: build, probeMethods: Self.probeMethods)
        registry.gauge(
            MetricDescription(
                name: "csi_volume_health_monitor_interval_seconds",
                help: "Configured interval between probes of a volume."
            )
        ).set(monitorInterval / .seconds(1))
        registry.collect { snapshot().metrics(at: WallClock.secondsSince1970) }
    }

    /// Counts a call to a driver.
    func observe(_ call: CSIClient.CallObservation) { common.observe(call) }

    /// Counts a request to the API server.
    func observe(_ request: KubernetesClient.RequestObservation) { common.observe(request) }

    func observe(_ observation: MonitorObservation) {
        switch observation {
        case .unknownCondition(let type): common.countUnknownCondition(type: type)
        case .unspecifiedReason: common.countUnspecifiedReason()
        case .reported(let report): common.observe(report)
        // Of the controller.
        case .sweepCompleted, .statusWriteDropped: break
        }
    }

    /// - Parameter resource: the plural: `pods`.
    func countUndecodableObject(resource: String) { common.countUndecodableObject(resource: resource) }
}
