// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Foundation
import HealthMonitorTestKit
import Testing

@testable import Diagnostics

@Suite struct MetricsTests {
    private let registry = MetricsRegistry()
    static let snapshot = SidecarSnapshot(
        isDriverConnected: true,
        volumes: .init(
            adverseClaims: [
                .init(namespace: "default", name: "csi-pvc", statuses: ["Degraded", "DataLoss"]),
                .init(namespace: "odd", name: "a \"name\"", statuses: ["Inaccessible"]),
            ],
            healthy: 7,
            adverse: 2,
            unknown: 1,
            events: .init(depth: 3, oldest: .milliseconds(1500)),
            statuses: .init(depth: 0, oldest: .zero),
            isDriverSupported: true,
            probeInterval: .seconds(60)
        )
    )

    @Test func aCounterWithoutLabelsShowsZeroBeforeItCounts() {
        let counter = registry.counter(MetricDescription(name: "things_total", help: "Things."))
        #expect(registry.exposition() == "# HELP things_total Things.\n# TYPE things_total counter\nthings_total 0\n")
        counter.increment()
        counter.increment(by: 1.5)
        #expect(registry.exposition().hasSuffix("\nthings_total 2.5\n"))
    }

    @Test func seriesAndMetricsAreSorted() {
        let b = registry.gauge(MetricDescription(name: "b", help: "B.", labelNames: ["x", "y"]))
        let a = registry.gauge(MetricDescription(name: "a", help: "A.", labelNames: ["x"]))
        b.set(3, labels: ["2", "1"])
        b.set(2, labels: ["1", "2"])
        b.set(1, labels: ["1", "1"])
        a.set(-1, labels: ["1"])
        #expect(
            registry.exposition() == """
                # HELP a A.
                # TYPE a gauge
                a{x="1"} -1
                # HELP b B.
                # TYPE b gauge
                b{x="1",y="1"} 1
                b{x="1",y="2"} 2
                b{x="2",y="1"} 3

                """
        )
    }

    @Test func aRemovedSeriesIsGoneAndBeginsAnew() {
        let counter = registry.counter(MetricDescription(name: "c", help: "C.", labelNames: ["claim"]))
        counter.increment(by: 5, labels: ["gone"])
        counter.increment(labels: ["stays"])
        counter.remove(labels: ["gone"])
        #expect(!registry.exposition().contains("gone"))
        #expect(registry.exposition().contains("c{claim=\"stays\"} 1\n"))
        counter.increment(labels: ["gone"])
        #expect(registry.exposition().contains("c{claim=\"gone\"} 1\n"))
    }

    @Test func gaugesAndHistogramsForgetSeriesToo() {
        let gauge = registry.gauge(MetricDescription(name: "g", help: "G.", labelNames: ["l"]))
        let histogram = registry.histogram(
            MetricDescription(name: "h", help: "H.", labelNames: ["l"]),
            buckets: [1]
        )
        gauge.set(1, labels: ["gone"])
        histogram.observe(1, labels: ["gone"])
        gauge.remove(labels: ["gone"])
        histogram.remove(labels: ["gone"])
        #expect(
            registry.exposition() == "# HELP g G.\n# TYPE g gauge\n# HELP h H.\n# TYPE h histogram\n"
        )
    }

    @Test func aHistogramCumulatesItsBuckets() {
        let histogram = registry.histogram(
            MetricDescription(name: "h", help: "H.", labelNames: ["m"]),
            buckets: [0.1, 2.5, 10]
        )
        for value in [0.1, 0.25, 2.5, 10.5, 600] {
            histogram.observe(value, labels: ["GET"])
        }
        #expect(
            registry.exposition() == """
                # HELP h H.
                # TYPE h histogram
                h_bucket{m="GET",le="0.1"} 1
                h_bucket{m="GET",le="2.5"} 3
                h_bucket{m="GET",le="10"} 3
                h_bucket{m="GET",le="+Inf"} 5
                h_sum{m="GET"} 613.35
                h_count{m="GET"} 5

                """
        )
    }

    @Test func labelValuesAndHelpAreEscaped() {
        let gauge = registry.gauge(MetricDescription(name: "g", help: "A \\ and a\nline, \"so\".", labelNames: ["l"]))
        gauge.set(1, labels: ["a\\b\"c\nd é"])
        #expect(
            registry.exposition() == """
                # HELP g A \\\\ and a\\nline, "so".
                # TYPE g gauge
                g{l="a\\\\b\\"c\\nd é"} 1

                """
        )
    }

    @Test(arguments: [
        (0, "0"), (-0.0, "-0"), (1, "1"), (-1, "-1"), (0.1, "0.1"), (2.5, "2.5"), (100, "100"), (600, "600"),
        (123_456, "123456"), (999_999.5, "999999.5"), (1_000_000, "1e+06"), (1_234_567, "1.234567e+06"),
        (1_713_605_993.25, "1.71360599325e+09"), (0.0001, "0.0001"), (0.00012, "0.00012"), (0.00001, "1e-05"),
        (-0.000_012_5, "-1.25e-05"), (1e21, "1e+21"), (1e100, "1e+100"), (1e-300, "1e-300"), (0.3, "0.3"),
        (0.1 + 0.2, "0.30000000000000004"), (1.7976931348623157e308, "1.7976931348623157e+308"),
        (.leastNonzeroMagnitude, "5e-324"),
        (.infinity, "+Inf"), (-.infinity, "-Inf"), (.nan, "NaN"), (123_456_789_012_345_680, "1.2345678901234568e+17"),
    ])
    func numbersAreWrittenAsGoWritesThem(value: Double, expected: String) {
        #expect(PrometheusText.format(value) == expected)
    }

    @Test func updatesFromManyTasksAllCount() async {
        let counter = registry.counter(MetricDescription(name: "c", help: "C.", labelNames: ["l"]))
        await withTaskGroup { group in
            for _ in 0..<8 {
                group.addTask {
                    for label in 0..<1000 { counter.increment(labels: ["\(label % 2)"]) }
                }
            }
        }
        #expect(registry.exposition().hasSuffix("c{l=\"0\"} 4000\nc{l=\"1\"} 4000\n"))
    }

    // MARK: The sidecar's own

    @Test func driverCallsAreCountedAsCsiLibUtilsCountsThem() {
        let metrics = SidecarMetrics(registry: registry) { Self.snapshot }
        metrics.observeOperation(
            driverName: "hostpath.csi.k8s.io",
            statusCode: "DeadlineExceeded",
            method: "/csi.v1.Identity/Probe",
            duration: .milliseconds(15_250)
        )
        let labels =
            #"{driver_name="hostpath.csi.k8s.io",grpc_status_code="DeadlineExceeded",method_name="/csi.v1.Identity/Probe""#
        let text = registry.exposition()
        #expect(text.contains("# TYPE csi_sidecar_operations_seconds histogram\n"))
        let bounds = text.split(separator: "\n").filter { $0.contains("_bucket{") }
        let expected = [
            "0.1", "0.25", "0.5", "1", "2.5", "5", "10", "15", "25", "50", "120", "300", "600", "+Inf",
        ]
        #expect(
            bounds.map(String.init)
                == expected.enumerated().map {
                    "csi_sidecar_operations_seconds_bucket\(labels),le=\"\($1)\"} \($0 < 8 ? 0 : 1)"
                }
        )
        #expect(text.contains("csi_sidecar_operations_seconds_sum\(labels)} 15.25\n"))
        #expect(text.contains("csi_sidecar_operations_seconds_count\(labels)} 1\n"))
    }

    @Test func probesAreCountedByMethodAndResult() {
        let metrics = SidecarMetrics(registry: registry) { Self.snapshot }
        metrics.observeProbe(method: "ListVolumes", succeeded: true, duration: .milliseconds(300))
        metrics.observeProbe(method: "ListVolumes", succeeded: false, duration: .seconds(15))
        let text = registry.exposition()
        #expect(text.contains("csi_volume_health_probe_total{method=\"ListVolumes\",result=\"success\"} 1\n"))
        #expect(text.contains("csi_volume_health_probe_total{method=\"ListVolumes\",result=\"error\"} 1\n"))
        let bounds = text.split(separator: "\n").filter {
            $0.hasPrefix("csi_volume_health_probe_duration_seconds_bucket")
        }
        let expected = ["0.1", "0.25", "0.5", "1", "2.5", "5", "10", "15", "30", "+Inf"]
        #expect(
            bounds.map(String.init)
                == zip(expected, [0, 0, 1, 1, 1, 1, 1, 2, 2, 2]).map {
                    "csi_volume_health_probe_duration_seconds_bucket{method=\"ListVolumes\",le=\"\($0)\"} \($1)"
                }
        )
    }

    @Test func whatIsSoIsReadAtTheScrape() {
        let metrics = SidecarMetrics(registry: registry) { Self.snapshot }
        metrics.countUnknownCondition(type: 9)
        metrics.countDroppedStatusWrite()
        metrics.countUnspecifiedReason()
        metrics.countAPIRequest(verb: "patch", resource: "persistentvolumeclaims/status", code: "200")
        metrics.countUndecodableObject(resource: "pods")
        metrics.sweepCompleted(duration: .milliseconds(250))
        let text = registry.exposition()
        for line in [
            #"csi_controller_volume_health_status{namespace="default",persistentvolumeclaim="csi-pvc",status="Degraded"} 1"#,
            #"csi_controller_volume_health_status{namespace="default",persistentvolumeclaim="csi-pvc",status="DataLoss"} 1"#,
            #"csi_controller_volume_health_status{namespace="odd",persistentvolumeclaim="a \"name\"",status="Inaccessible"} 1"#,
            #"csi_volume_health_volumes{state="healthy"} 7"#, #"csi_volume_health_volumes{state="adverse"} 2"#,
            #"csi_volume_health_volumes{state="unknown"} 1"#, "csi_volume_health_driver_connected 1",
            "csi_volume_health_driver_supported 1", "csi_volume_health_leader 1",
            #"csi_volume_health_report_queue_depth{queue="events"} 3"#,
            #"csi_volume_health_report_queue_oldest_seconds{queue="events"} 1.5"#,
            #"csi_volume_health_report_queue_depth{queue="status"} 0"#,
            #"csi_volume_health_unknown_condition_total{status="9"} 1"#,
            "csi_volume_health_status_writes_dropped_total 1", "csi_volume_health_unspecified_reasons_total 1",
            #"csi_volume_health_api_requests_total{verb="patch",resource="persistentvolumeclaims/status",code="200"} 1"#,
            #"csi_volume_health_undecodable_objects_total{resource="pods"} 1"#,
            "csi_volume_health_sweep_duration_seconds 0.25",
        ] {
            #expect(text.contains("\n\(line)\n"), "\(line)")
        }
        #expect(text.contains("\ncsi_volume_health_last_sweep_timestamp_seconds 1."))
    }

    /// A driver chooses the number of a condition's type.
    @Test func `types of conditions make a bounded number of series`() {
        let metrics = SidecarMetrics(registry: registry) { Self.snapshot }
        for type in [-1, 0, 15, 16, 1000, Int(Int32.max)] { metrics.countUnknownCondition(type: type) }
        let series = registry.exposition().split(separator: "\n").filter {
            $0.hasPrefix("csi_volume_health_unknown_condition_total{")
        }
        #expect(
            Set(series) == [
                #"csi_volume_health_unknown_condition_total{status="0"} 1"#,
                #"csi_volume_health_unknown_condition_total{status="15"} 1"#,
                #"csi_volume_health_unknown_condition_total{status="other"} 4"#,
            ]
        )
    }

    @Test func aStandbySaysNothingOfVolumes() {
        _ = SidecarMetrics(registry: registry) { SidecarSnapshot(isDriverConnected: false, volumes: nil) }
        let text = registry.exposition()
        #expect(text.contains("\ncsi_volume_health_leader 0\n"))
        #expect(text.contains("\ncsi_volume_health_driver_connected 0\n"))
        #expect(!text.contains("csi_volume_health_volumes"))
        #expect(!text.contains("csi_controller_volume_health_status"))
    }

    /// docs/metrics.md has every metric with its type and labels, and no other.
    @Test func theDocumentationHasTheMetrics() throws {
        let metrics = SidecarMetrics(registry: registry) { Self.snapshot }
        metrics.observeOperation(driverName: "d", statusCode: "OK", method: "/m", duration: .zero)
        metrics.observeProbe(method: "m", succeeded: true, duration: .zero)
        metrics.countUnknownCondition(type: 0)
        metrics.countDeviation("volume_missing")
        metrics.countAPIRequest(verb: "v", resource: "r", code: "c")
        metrics.countUndecodableObject(resource: "r")
        var exposed: Set<String> = []
        var types: [Substring: Substring] = [:]
        for line in registry.exposition().split(separator: "\n") {
            if let match = line.wholeMatch(of: /# TYPE (\S+) (\S+)/) {
                types[match.1] = match.2
            } else if let match = line.wholeMatch(of: /([a-z_]+?)(_bucket|_sum|_count)?(\{.*\})? \S+/) {
                let name = types[match.1] == nil ? match.1 + (match.2 ?? "") : match.1
                let labels = (match.3 ?? "").matches(of: /([a-z_]+)="/).map(\.1).filter { $0 != "le" }
                exposed.insert("\(name) \(types[name] ?? "?") \(labels.joined(separator: ","))")
            }
        }
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let page = try String(contentsOf: root.appendingPathComponent("docs/metrics.md"), encoding: .utf8)
        let documented = page.matches(of: /\| `([a-z_]+)` \| ([a-z]+) \| ([a-z_`, ]*) ?\|/).map { row in
            "\(row.1) \(row.2) \(row.3.filter { $0 != "`" && $0 != " " })"
        }
        #expect(Set(documented) == exposed)
        #expect(documented.count == exposed.count)
    }

    @Test func promtoolAcceptsTheText() async throws {
        let metrics = SidecarMetrics(registry: registry) { Self.snapshot }
        metrics.observeOperation(
            driverName: "odd \"name\" \\ with\nlines",
            statusCode: "OK",
            method: "/csi.v1.Identity/Probe",
            duration: .microseconds(12)
        )
        let text = registry.exposition()
        #expect(text.contains("csi_sidecar_operations_seconds_count{"))
        #expect(text.contains("\nprocess_start_time_seconds 1."))

        let promtool = try Tool.find("promtool", package: "prometheus")
        let verdict = try await Tool.run(promtool, ["check", "metrics"], input: text)
        #expect(verdict.exitCode == 0)
        #expect(verdict.output + verdict.errors == "")
    }
}
