// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Foundation
import HealthMonitorTestKit
import KubernetesAPI
import Testing

@testable import CSIClient
@testable import ControllerCore
@testable import ControllerMonitor
@testable import HealthCore
@testable import HealthRuntime
@testable import KubernetesClient
@testable import Metrics
@testable import csi_health_monitor

@Suite struct SidecarMetricsTests {
    private let registry = MetricsRegistry()

    private static let snapshot = SidecarSnapshot(
        isDriverConnected: true,
        driverVersion: "1.2",
        isUp: false,
        watchSilences: [(resource: "persistentvolumes", age: .seconds(30))],
        rules: [(rule: "{verbs}", isMissing: true)],
        lease: .init(name: "lease", isHeld: true),
        health: HealthSnapshot(
            unhealthyClaims: [
                .init(
                    namespace: "default",
                    name: "csi-pvc",
                    state: VolumeState([
                        .init(status: .dataLoss, reason: "Gone", message: "m"),
                        .init(status: .degraded, reason: "Slow", message: "m"),
                    ]),
                    age: .seconds(60) + .milliseconds(400)
                ),
                .init(
                    namespace: "odd",
                    name: "a \"name\"",
                    state: VolumeState([
                        .init(status: .inaccessible, reason: "ArrayDown", message: "m"),
                        .init(status: .inaccessible, reason: "PathDown", message: "m"),
                    ]),
                    age: .zero
                ),
            ],
            healthyVolumes: 7,
            staleVolumes: 4,
            unresponsiveClaims: [(claim: ClaimKey(namespace: "default", name: "slow"), age: .seconds(400))],
            flappingClaims: [ClaimKey(namespace: "default", name: "flapping")],
            lastRound: ProbeRound(volumes: 7, responses: 5),
            unhealthyVolumes: 2,
            unknownVolumes: 1,
            events: .init(depth: 3, oldest: .milliseconds(1500), adds: 12),
            statuses: .init(depth: 0, oldest: .zero, adds: 9),
            isStatusSupported: true,
            method: .init(name: "ListVolumes", generation: "legacy"),
            probeInterval: .seconds(60),
            hasOutage: false,
            unhealthyRatio: 0.2
        )
    )

    private func metrics(_ snapshot: SidecarSnapshot = Self.snapshot) -> SidecarMetrics {
        SidecarMetrics(
            registry: registry,
            configuration: .init(
                build: .init(version: "0.1", revision: "abc", swiftVersion: "6.2"),
                listVolumesInterval: .seconds(300),
                monitorInterval: .seconds(60)
            ),
            driverName: { "d" },
            snapshot: { snapshot }
        )
    }

    private func call(
        _ method: String,
        _ code: String,
        _ duration: Duration,
        driverName: String = "d"
    ) -> CSIClient.CallObservation {
        CSIClient.CallObservation(
            driverName: driverName,
            method: method,
            code: code,
            isUsable: code == "OK",
            duration: duration
        )
    }

    private func request(duration: Duration = .zero) -> KubernetesClient.RequestObservation {
        KubernetesClient.RequestObservation(
            request: RequestInfo(verb: .patch, resource: PersistentVolumeClaim.resource, subresource: "status"),
            httpStatus: 200,
            duration: duration,
            method: "PATCH",
            host: "10.96.0.1:443"
        )
    }

    private func report(
        _ kind: ReportObservation.Kind,
        _ result: ReportObservation.Result,
        _ duration: Duration = .zero
    ) -> MonitorObservation {
        .reported(ReportObservation(kind: kind, result: result, duration: duration))
    }

    @Test func `calls to the driver are counted as csi-lib-utils counts them`() {
        let metrics = metrics()
        metrics.observe(
            call("/csi.v1.Identity/Probe", "DeadlineExceeded", .milliseconds(15_250), driverName: "hostpath.csi.k8s.io")
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
        metrics.observe(call("/csi.v1.Controller/ListVolumes", "OK", .milliseconds(300)))
        metrics.observe(call("/csi.v1.Controller/ListVolumes", "DeadlineExceeded", .seconds(15)))
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

    @Test func `every value has its metric`() {
        let metrics = metrics()
        metrics.observe(.unknownCondition(type: 9))
        metrics.observe(.statusWriteDropped)
        metrics.observe(.unspecifiedReason)
        metrics.observe(request(duration: .milliseconds(20)))
        metrics.countUndecodableObject(resource: "pods")
        metrics.observe(.sweepCompleted(duration: .milliseconds(250)))
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
            #"csi_volume_health_outage{driver_name="d"} 0"#,
            #"csi_volume_health_unhealthy_ratio{driver_name="d"} 0.2"#,
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
            #"csi_volume_health_build_info{driver_name="d",version="0.1",revision="abc",swift_version="6.2"} 1"#,
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

    /// A driver may send any number as a condition's type.
    @Test func `unknown condition types have a bounded number of series`() {
        let metrics = metrics()
        for type in [-1, 0, 15, 16, 1000, Int(Int32.max)] { metrics.observe(.unknownCondition(type: type)) }
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

    @Test func `a standby has no metrics of volumes`() {
        _ = metrics(SidecarSnapshot(isDriverConnected: false))
        let text = registry.exposition()
        #expect(text.contains("\ncsi_volume_health_leader{driver_name=\"d\"} 0\n"))
        #expect(text.contains("\ncsi_volume_health_driver_connected{driver_name=\"d\"} 0\n"))
        #expect(!text.contains("csi_volume_health_volumes"))
        #expect(!text.contains("csi_controller_volume_health_status"))
    }

    @Test func `docs/metrics.md has exactly these metrics, with types, labels and valid example queries`() async throws
    {
        let metrics = metrics()
        var deviating = call("/csi.v1.Controller/ControllerGetVolume", "OK", .zero)
        deviating.deviation = ReplyDeviation(kind: .volumeMissing, example: "")
        metrics.observe(deviating)
        metrics.observe(.unknownCondition(type: 0))
        metrics.observe(request())
        metrics.observe(report(.event, .retried))
        metrics.observe(.sweepCompleted(duration: .zero))
        metrics.countUndecodableObject(resource: "r")
        metrics.countStepDown("r")
        try await MetricsPage.controller().check(registry.exposition())
    }

    @Test func `all metrics have the driver's name but those of external-health-monitor, which keep its labels`() {
        let metrics = metrics()
        metrics.observe(call("/csi.v1.Controller/ListVolumes", "OK", .zero))
        metrics.observe(.unknownCondition(type: 0))
        metrics.observe(report(.event, .recorded))
        let samples = registry.exposition().split(separator: "\n").filter { $0.hasPrefix("csi_") }
        let without = Set(
            samples.filter { !$0.contains(#"{driver_name="d""#) }.compactMap { $0.split(separator: "{").first }
        )
        #expect(
            without == [
                "csi_controller_volume_health_status", "csi_volume_health_probe_duration_seconds_bucket",
                "csi_volume_health_probe_duration_seconds_count",
                "csi_volume_health_probe_duration_seconds_sum", "csi_volume_health_probe_total",
                "csi_volume_health_status_writes_dropped_total 0", "csi_volume_health_unknown_condition_total",
            ]
        )
    }

    @Test func `the last transition is in whole seconds`() throws {
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

    @Test func `the last sweep is absent before the first one of a term`() {
        let metrics = metrics()
        func hasSweep() -> Bool {
            let text = registry.exposition()
            return text.contains("csi_volume_health_last_sweep_timestamp_seconds")
                && text.contains("csi_volume_health_sweep_duration_seconds")
        }
        #expect(!hasSweep())
        metrics.observe(.sweepCompleted(duration: .seconds(1)))
        #expect(hasSweep())
        metrics.termBegan()
        #expect(!hasSweep())
    }

    @Test func `a standby has no last sweep`() {
        let metrics = metrics(SidecarSnapshot(isDriverConnected: true))
        metrics.observe(.sweepCompleted(duration: .seconds(1)))
        #expect(!registry.exposition().contains("last_sweep_timestamp"))
    }

    @Test func `a report that is retried counts as a retry of its queue`() {
        let metrics = metrics()
        metrics.observe(report(.event, .recorded, .milliseconds(5)))
        metrics.observe(report(.event, .retried, .milliseconds(50)))
        let lines = registry.exposition().split(separator: "\n")
        #expect(lines.contains(#"csi_volume_health_reports_total{driver_name="d",kind="event",result="recorded"} 1"#))
        #expect(lines.contains(#"csi_volume_health_reports_total{driver_name="d",kind="event",result="retried"} 1"#))
        #expect(lines.contains(#"workqueue_retries_total{name="events"} 1"#))
        #expect(lines.contains(#"workqueue_work_duration_seconds_count{name="events"} 2"#))
        #expect(lines.contains(#"workqueue_work_duration_seconds_bucket{name="events",le="1e-06"} 0"#))
    }

    @Test func `a report's time in its queue and the reports under way are those of a workqueue`() {
        var snapshot = Self.snapshot
        snapshot.health?.events.unfinished = .milliseconds(1500)
        snapshot.health?.events.longestRunning = .seconds(1)
        let metrics = metrics(snapshot)
        let report = ReportObservation(
            kind: .event,
            result: .recorded,
            duration: .milliseconds(5),
            queued: .seconds(2)
        )
        metrics.observe(.reported(report))
        let lines = registry.exposition().split(separator: "\n")
        #expect(lines.contains(#"workqueue_queue_duration_seconds_sum{name="events"} 2"#))
        #expect(lines.contains(#"workqueue_queue_duration_seconds_count{name="events"} 1"#))
        #expect(lines.contains(#"workqueue_unfinished_work_seconds{name="events"} 1.5"#))
        #expect(lines.contains(#"workqueue_longest_running_processor_seconds{name="events"} 1"#))
        #expect(lines.contains(#"workqueue_unfinished_work_seconds{name="status"} 0"#))
    }

    @Test func `promtool accepts the exposition`() async throws {
        let metrics = metrics()
        metrics.observe(
            call("/csi.v1.Identity/Probe", "OK", .microseconds(12), driverName: "odd \"name\" \\ with\nlines")
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
