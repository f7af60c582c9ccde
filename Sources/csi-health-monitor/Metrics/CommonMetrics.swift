// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import CSIClient
import HealthRuntime
import KubernetesClient
import Metrics

/// The metrics that the controller and the agent have in common: what they count of calls to drivers, of requests to the
/// API server and of reports, the build and the process.
///
/// A metric that csi-lib-utils, external-health-monitor, component-base or Prometheus' client libraries have keeps its
/// name, labels and buckets, so that existing dashboards and alerts work.
struct CommonMetrics: Sendable {
    /// What the program was built from.
    struct Build: Sendable {
        /// Of csi-health-monitor.
        var version: String
        /// The commit, or `unknown` if the build did not set it.
        var revision: String
        /// The compiler's version: `6.3`.
        var swiftVersion: String

        static var current: Build {
            Build(version: Program.version, revision: Program.revision, swiftVersion: Program.swiftVersion)
        }
    }

    private let operations: Histogram
    private let probeDurations: Histogram
    private let probes: Counter
    private let unknownConditions: Counter
    private let unspecifiedReasons: Counter
    private let apiRequests: Counter
    private let undecodableObjects: Counter
    private let reports: Counter
    private let clientRequests: Counter
    private let clientRequestDurations: Histogram
    private let probeMethods: Set<String>

    /// Creates the metrics in `registry`.
    ///
    /// - Parameter probeMethods: the RPCs that report health, without their service.
    init(registry: MetricsRegistry, build: Build, probeMethods: Set<String>) {
        self.probeMethods = probeMethods
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
        apiRequests = registry.counter(
            MetricDescription(
                name: "csi_volume_health_api_requests_total",
                help: "Number of requests to the API server, by verb, resource and HTTP status.",
                labelNames: ["verb", "resource", "code"]
            )
        )
        undecodableObjects = registry.counter(
            MetricDescription(
                name: "csi_volume_health_undecodable_objects_total",
                help: "Number of received Kubernetes objects that could not be decoded.",
                labelNames: ["resource"]
            )
        )
        reports = registry.counter(
            MetricDescription(
                name: "csi_volume_health_reports_total",
                help: "Number of reports to the API server, by kind and result.",
                labelNames: ["kind", "result"]
            )
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
        registry.gauge(
            MetricDescription(
                name: "csi_volume_health_build_info",
                help: "A metric with a constant value of 1, labeled by version, commit and Swift version.",
                labelNames: ["version", "revision", "swift_version"]
            )
        ).set(1, labels: [build.version, build.revision, build.swiftVersion])
        registry.addProcessMetrics()
    }

    /// Counts a call to a driver.
    func observe(_ call: CSIClient.CallObservation) {
        let seconds = call.duration / .seconds(1)
        operations.observe(seconds, labels: [call.driverName, call.code, call.method])
        let method = call.method.split(separator: "/").last.map(String.init) ?? ""
        if probeMethods.contains(method) {
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

    func observe(_ report: ReportObservation) {
        reports.increment(labels: [report.kind.rawValue, report.result.rawValue])
    }

    func countUnknownCondition(type: Int) {
        // A driver may send any 32-bit number: bound the series. Future versions of CSI will use the next few numbers.
        unknownConditions.increment(labels: [(0..<16).contains(type) ? "\(type)" : "other"])
    }

    func countUnspecifiedReason() {
        unspecifiedReasons.increment()
    }

    /// - Parameter resource: the plural: `persistentvolumeclaims`.
    func countUndecodableObject(resource: String) {
        undecodableObjects.increment(labels: [resource])
    }
}
