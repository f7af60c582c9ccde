// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// The sidecar's metrics: every name, label and bucket is in this file.
///
/// Names are those of csi-lib-utils where it has the metric, so that dashboards for other CSI sidecars work.
public struct SidecarMetrics: Sendable {
    private let operations: Histogram

    /// Makes the metrics in `registry`, and tells it when the process started.
    public init(registry: MetricsRegistry) {
        operations = registry.histogram(
            MetricDescription(
                name: "csi_sidecar_operations_seconds",
                help: "Container Storage Interface operation duration with gRPC error code status total",
                labelNames: ["driver_name", "grpc_status_code", "method_name"]
            ),
            buckets: [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 25, 50, 120, 300, 600]
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
}
