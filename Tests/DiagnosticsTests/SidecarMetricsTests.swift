// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Foundation
import HealthMonitorTestKit
import Testing

@testable import Diagnostics

@Suite struct SidecarMetricsTests {
    private let registry = MetricsRegistry()

    private static let snapshot = {
        var snapshot = leading
        snapshot.isUp = false
        snapshot.watchSilences = [(resource: "persistentvolumes", age: .seconds(30))]
        snapshot.rules = [(rule: "{verbs}", isMissing: true)]
        snapshot.volumes?.stale = 4
        snapshot.volumes?.unanswered = [(namespace: "default", name: "slow", age: .seconds(400))]
        snapshot.volumes?.round = (answered: 5, volumes: 7)
        return snapshot
    }()

    private static let leading = SidecarSnapshot(
        isDriverConnected: true,
        lease: .init(name: "lease", isHeld: true),
        volumes: .init(
            unhealthyClaims: [
                .init(
                    namespace: "default",
                    name: "csi-pvc",
                    conditions: [.init(status: "DataLoss", reason: "Gone"), .init(status: "Degraded", reason: "Slow")],
                    age: .seconds(60) + .milliseconds(400)
                ),
                .init(
                    namespace: "odd",
                    name: "a \"name\"",
                    conditions: [
                        .init(status: "Inaccessible", reason: "ArrayDown"),
                        .init(status: "Inaccessible", reason: "PathDown"),
                    ],
                    age: .zero
                ),
            ],
            healthy: 7,
            unhealthy: 2,
            unknown: 1,
            events: .init(depth: 3, oldest: .milliseconds(1500), adds: 12),
            statuses: .init(depth: 0, oldest: .zero, adds: 9),
            driver: .init(version: "1.2", method: "ListVolumes", generation: "legacy"),
            isDriverSupported: true,
            probeInterval: .seconds(60)
        )
    )

    private func metrics(_ snapshot: SidecarSnapshot = Self.snapshot) -> SidecarMetrics {
        SidecarMetrics(
            registry: registry,
            configuration: .init(
                version: "0.1",
                revision: "abc",
                swiftVersion: "6.2",
                listVolumesInterval: .seconds(300),
                monitorInterval: .seconds(60)
            ),
            driverName: { "d" },
            snapshot: { snapshot }
        )
    }

    @Test func `driver calls are counted as CSI lib utils counts them`() {
        let metrics = metrics()
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
        let bounds = text.split(separator: "\n").filter { $0.hasPrefix("csi_sidecar_operations_seconds_bucket{") }
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

    @Test func `probes are counted by method and result`() {
        let metrics = metrics()
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

    @Test func `what is so is read at the scrape`() {
        let metrics = metrics()
        metrics.countUnknownCondition(type: 9)
        metrics.countDroppedStatusWrite()
        metrics.countUnspecifiedReason()
        metrics.observeAPIRequest(
            verb: "patch",
            resource: "persistentvolumeclaims/status",
            code: "200",
            method: "PATCH",
            host: "10.96.0.1:443",
            duration: .milliseconds(20)
        )
        metrics.countUndecodableObject(resource: "pods")
        metrics.sweepCompleted(duration: .milliseconds(250))
        let text = registry.exposition()
        for line in [
            #"csi_controller_volume_health_status{namespace="default",persistentvolumeclaim="csi-pvc",status="Degraded"} 1"#,
            #"csi_controller_volume_health_status{namespace="default",persistentvolumeclaim="csi-pvc",status="DataLoss"} 1"#,
            #"csi_controller_volume_health_status{namespace="odd",persistentvolumeclaim="a \"name\"",status="Inaccessible"} 1"#,
            #"csi_volume_health_volumes{driver_name="d",state="healthy"} 7"#,
            #"csi_volume_health_volumes{driver_name="d",state="unhealthy"} 2"#,
            #"csi_volume_health_volumes{driver_name="d",state="unknown"} 1"#,
            #"csi_volume_health_volumes{driver_name="d",state="stale"} 4"#,
            #"csi_volume_health_up{driver_name="d"} 0"#,
            #"csi_volume_health_watch_age_seconds{driver_name="d",resource="persistentvolumes"} 30"#,
            #"csi_volume_health_rbac_rule_missing{driver_name="d",rule="{verbs}"} 1"#,
            #"csi_volume_health_sweep_volumes{driver_name="d",result="unanswered"} 2"#,
            #"csi_volume_health_unanswered_seconds{driver_name="d",namespace="default",persistentvolumeclaim="slow"} 400"#,
            #"csi_volume_health_driver_connected{driver_name="d"} 1"#,
            #"csi_volume_health_driver_supported{driver_name="d"} 1"#, #"csi_volume_health_leader{driver_name="d"} 1"#,
            #"csi_volume_health_report_queue_depth{driver_name="d",queue="events"} 3"#,
            #"csi_volume_health_report_queue_oldest_seconds{driver_name="d",queue="events"} 1.5"#,
            #"csi_volume_health_report_queue_depth{driver_name="d",queue="status"} 0"#,
            #"csi_volume_health_unknown_condition_total{status="9"} 1"#,
            "csi_volume_health_status_writes_dropped_total 1",
            #"csi_volume_health_unspecified_reasons_total{driver_name="d"} 1"#,
            #"csi_volume_health_api_requests_total{driver_name="d",verb="patch",resource="persistentvolumeclaims/status",code="200"} 1"#,
            #"rest_client_requests_total{code="200",method="PATCH",host="10.96.0.1:443"} 1"#,
            #"rest_client_request_duration_seconds_bucket{verb="PATCH",host="10.96.0.1:443",le="0.005"} 0"#,
            #"rest_client_request_duration_seconds_bucket{verb="PATCH",host="10.96.0.1:443",le="0.025"} 1"#,
            #"csi_volume_health_sweep_seconds_bucket{driver_name="d",le="0.25"} 1"#,
            #"workqueue_depth{name="events"} 3"#, #"workqueue_adds_total{name="events"} 12"#,
            #"csi_volume_health_driver_info{driver_name="d",driver_version="1.2",method="ListVolumes",generation="legacy"} 1"#,
            #"leader_election_master_status{name="lease"} 1"#,
            #"csi_volume_health_build_info{version="0.1",revision="abc",swift_version="6.2"} 1"#,
            #"csi_volume_health_list_volumes_interval_seconds{driver_name="d"} 300"#,
            #"csi_volume_health_monitor_interval_seconds{driver_name="d"} 60"#,
            #"csi_volume_health_claim_status{driver_name="d",namespace="odd",persistentvolumeclaim="a \"name\"",status="Inaccessible",reason="ArrayDown"} 1"#,
            #"csi_volume_health_claim_status{driver_name="d",namespace="odd",persistentvolumeclaim="a \"name\"",status="Inaccessible",reason="PathDown"} 1"#,
            #"csi_volume_health_undecodable_objects_total{driver_name="d",resource="pods"} 1"#,
            #"csi_volume_health_sweep_duration_seconds{driver_name="d"} 0.25"#,
        ] {
            #expect(text.contains("\n\(line)\n"), "\(line)")
        }
        #expect(text.contains("\ncsi_volume_health_last_sweep_timestamp_seconds{driver_name=\"d\"} 1."))
    }

    /// A driver chooses the number of a condition's type.
    @Test func `types of conditions make a bounded number of series`() {
        let metrics = metrics()
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

    @Test func `a standby says nothing of volumes`() {
        _ = metrics(SidecarSnapshot(isDriverConnected: false, volumes: nil))
        let text = registry.exposition()
        #expect(text.contains("\ncsi_volume_health_leader{driver_name=\"d\"} 0\n"))
        #expect(text.contains("\ncsi_volume_health_driver_connected{driver_name=\"d\"} 0\n"))
        #expect(!text.contains("csi_volume_health_volumes"))
        #expect(!text.contains("csi_controller_volume_health_status"))
    }

    /// docs/metrics.md has every metric with its type and labels, no other, and a valid example query of each.
    @Test func `the documentation has the metrics`() async throws {
        let metrics = metrics()
        metrics.observeOperation(driverName: "d", statusCode: "OK", method: "/m", duration: .zero)
        metrics.observeProbe(method: "m", succeeded: true, duration: .zero)
        metrics.countUnknownCondition(type: 0)
        metrics.countDeviation("volume_missing")
        metrics.observeAPIRequest(verb: "v", resource: "r", code: "c", method: "m", host: "h", duration: .zero)
        metrics.countReport(kind: "k", result: "r")
        metrics.observeWork(queue: "q", isRetried: true, duration: .zero)
        metrics.sweepCompleted(duration: .zero)
        metrics.countUndecodableObject(resource: "r")
        metrics.countStepDown("r")
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
        let rows = page.split(separator: "\n").filter { $0.contains(/^\| `[a-z_]+` \| (gauge|counter|histogram) \|/) }
        let queries = try rows.map { row in
            try #require(row.firstMatch(of: /\| `([^`]+)` \|$/), "no example query: \(row)").1
        }
        let documented = page.matches(of: /\| `([a-z_]+)` \| ([a-z]+) \| ([a-z_`, ]*) ?\|/).map { row in
            "\(row.1) \(row.2) \(row.3.filter { $0 != "`" && $0 != " " })"
        }
        #expect(Set(documented) == exposed)
        #expect(documented.count == exposed.count)
        for (row, query) in zip(rows, queries) {
            let name = try #require(row.firstMatch(of: /`([a-z_]+)`/)).1
            #expect(query.contains(name), "the example of \(name) has another metric: \(query)")
        }

        let rules =
            "groups: [{name: examples, rules: [\n"
            + queries.map { "{record: 'example:query', expr: '\($0)'},\n" }.joined() + "]}]"
        let verdict = try await Tool.run(
            Tool.find("promtool", package: "prometheus"),
            ["check", "rules", "--lint=none", "/dev/stdin"],
            input: rules
        )
        #expect(verdict.exitCode == 0, "\(verdict.output) \(verdict.errors)")
    }

    @Test func `every metric of ours has the driver's name, what external-health-monitor has too keeps its labels`() {
        let metrics = metrics()
        metrics.observeProbe(method: "m", succeeded: true, duration: .zero)
        metrics.countUnknownCondition(type: 0)
        metrics.countReport(kind: "event", result: "recorded")
        let samples = registry.exposition().split(separator: "\n").filter { $0.hasPrefix("csi_") }
        let without = Set(
            samples.filter { !$0.contains(#"{driver_name="d""#) }.compactMap { $0.split(separator: "{").first }
        )
        #expect(
            without == [
                "csi_controller_volume_health_status", "csi_volume_health_build_info",
                "csi_volume_health_probe_duration_seconds_bucket", "csi_volume_health_probe_duration_seconds_count",
                "csi_volume_health_probe_duration_seconds_sum", "csi_volume_health_probe_total",
                "csi_volume_health_status_writes_dropped_total 0", "csi_volume_health_unknown_condition_total",
            ]
        )
    }

    @Test func `the last transition is in whole seconds of the wall clock`() throws {
        let claim = try #require(
            Self.snapshot.metrics(at: 1_700_000_000.75).first {
                $0.description.name == "csi_volume_health_last_transition_timestamp_seconds"
            }
        )
        var text = PrometheusText()
        claim.write(to: &text)
        let samples = text.output.split(separator: "\n").filter { !$0.hasPrefix("#") }
        #expect(
            samples == [
                #"csi_volume_health_last_transition_timestamp_seconds{namespace="default",persistentvolumeclaim="csi-pvc"} 1.69999994e+09"#,
                #"csi_volume_health_last_transition_timestamp_seconds{namespace="odd",persistentvolumeclaim="a \"name\""} 1.700000001e+09"#,
            ]
        )
    }

    @Test func `the last sweep is absent before the first one, and when another term begins`() {
        let metrics = metrics()
        func hasSweep() -> Bool {
            let text = registry.exposition()
            return text.contains("csi_volume_health_last_sweep_timestamp_seconds")
                && text.contains("csi_volume_health_sweep_duration_seconds")
        }
        #expect(!hasSweep())
        metrics.sweepCompleted(duration: .seconds(1))
        #expect(hasSweep())
        metrics.termBegan()
        #expect(!hasSweep())
    }

    @Test func `a standby has no last sweep`() {
        let metrics = metrics(SidecarSnapshot(isDriverConnected: true, volumes: nil))
        metrics.sweepCompleted(duration: .seconds(1))
        #expect(!registry.exposition().contains("last_sweep_timestamp"))
    }

    @Test func `a report that will be tried again is a retry of its queue`() {
        let metrics = metrics()
        metrics.countReport(kind: "event", result: "recorded")
        metrics.countReport(kind: "event", result: "retried")
        metrics.observeWork(queue: "events", isRetried: false, duration: .milliseconds(5))
        metrics.observeWork(queue: "events", isRetried: true, duration: .milliseconds(50))
        let lines = registry.exposition().split(separator: "\n")
        #expect(lines.contains(#"csi_volume_health_reports_total{driver_name="d",kind="event",result="recorded"} 1"#))
        #expect(lines.contains(#"csi_volume_health_reports_total{driver_name="d",kind="event",result="retried"} 1"#))
        #expect(lines.contains(#"workqueue_retries_total{name="events"} 1"#))
        #expect(lines.contains(#"workqueue_work_duration_seconds_count{name="events"} 2"#))
        #expect(lines.contains(#"workqueue_work_duration_seconds_bucket{name="events",le="1e-06"} 0"#))
    }

    @Test func `promtool accepts the text`() async throws {
        let metrics = metrics()
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
