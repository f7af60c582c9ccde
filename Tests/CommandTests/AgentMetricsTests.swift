// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Foundation
import HealthMonitorTestKit
import KubernetesAPI
import Testing

@testable import CSIClient
@testable import HealthCore
@testable import HealthRuntime
@testable import KubernetesClient
@testable import Metrics
@testable import NodeCore
@testable import NodeMonitor
@testable import csi_health_monitor

@Suite struct AgentMetricsTests {
    private let registry = MetricsRegistry()

    private static let snapshot = AgentSnapshot(
        isUp: true,
        watchSilence: .seconds(30),
        rules: [(rule: "{verbs}", isMissing: true)],
        drivers: [
            driver("a.csi", method: "NodeGetVolumeHealth", sweepAge: .seconds(20)),
            driver("b.csi", method: "NodeGetVolumeStats", isHanging: true),
            driver("c.csi", method: nil),
            driver(nil, method: nil, isSupported: nil, failure: .init(age: .seconds(9), reason: "no socket")),
        ],
        health: NodeHealthSnapshot(
            drivers: [
                node("a.csi", counts: .init(healthy: 5, unhealthy: 2, unknown: 1, waiting: 3, unresponsive: 1)),
                node("b.csi", counts: .init(unresponsive: 1, backingOff: 1)),
                // Its volumes are in the node's pods, but it is not monitored.
                node("excluded.csi", counts: .init(unknown: 7)),
            ],
            unhealthy: [
                .init(
                    volume: volume("a.csi", pod: "web-0", names: ["data", "logs"], claim: "csi-pvc"),
                    conditions: [
                        .init(status: .dataLoss, reason: "Gone", message: "m"),
                        .init(status: .dataLoss, reason: "Rotten", message: "m"),
                        .init(status: .degraded, reason: "Slow", message: "m"),
                    ],
                    since: .seconds(60)
                ),
                .init(
                    volume: volume("a.csi", pod: "web-0", names: ["scratch"], claim: nil),
                    conditions: [.init(status: .inaccessible, reason: "Unmounted", message: "m")],
                    since: .zero
                ),
            ],
            unresponsive: [
                .init(volume: volume("b.csi", pod: "db-0", names: ["data"], claim: "db"), age: .seconds(400))
            ],
            flapping: [volume("b.csi", pod: "db-0", names: ["logs"], claim: "db-logs")],
            unresolvedClaims: 2,
            pods: 11
        )
    )

    private static func driver(
        _ name: String?,
        method: String?,
        isSupported: Bool? = true,
        isHanging: Bool = false,
        failure: NodeMonitorStatus.Failure? = nil,
        sweepAge: Duration? = nil
    ) -> NodeMonitorStatus.Driver {
        .init(
            name: name,
            address: "/csi/\(name ?? "csi").sock",
            version: name == nil ? "" : "1.2",
            method: method,
            failure: failure,
            isSupported: method == nil && name != nil ? false : isSupported,
            isHanging: isHanging,
            problem: nil,
            sweepAge: sweepAge
        )
    }

    private static func node(_ name: String, counts: NodeHealthSnapshot.Counts) -> NodeHealthSnapshot.Driver {
        let statuses: [(StorageHealth.Status, String)] = [
            (.unreachable, "PathDown"), (.unknown(7), "Later"), (.unknown(8), "Later"),
        ]
        let storage = StorageHealth(statuses.map { .init(status: $0, reason: $1, message: "m") })
        return .fixture(name, counts: counts, storage: name == "a.csi" ? storage : nil)
    }

    private static func volume(_ driver: String, pod: String, names: [String], claim: String?) -> NodeVolume {
        NodeVolume(
            key: .init(podUID: "uid-\(pod)", volume: names[0], isInline: claim == nil),
            namespace: "default",
            podName: pod,
            driver: driver,
            volumeHandle: "h",
            names: names,
            claimName: claim,
            claimUID: claim.map { "uid-\($0)" }
        )
    }

    private func metrics(_ snapshot: AgentSnapshot = Self.snapshot) -> AgentMetrics {
        AgentMetrics(
            registry: registry,
            build: .init(version: "0.1", revision: "abc", swiftVersion: "6.2"),
            monitorInterval: .seconds(60),
            snapshot: { snapshot }
        )
    }

    private func call(_ method: String, _ code: String = "OK") -> CSIClient.CallObservation {
        CSIClient.CallObservation(
            driverName: "a.csi",
            method: "/csi.v1.Node/\(method)",
            code: code,
            isUsable: code == "OK",
            duration: .milliseconds(300)
        )
    }

    /// One of everything that is counted.
    private func observeAll(_ metrics: AgentMetrics) {
        metrics.observe(call("NodeGetVolumeHealth"))
        metrics.observe(.unknownCondition(type: 9))
        metrics.observe(.unspecifiedReason)
        metrics.observe(.reported(ReportObservation(kind: .event, result: .recorded, duration: .zero)))
        metrics.countUndecodableObject(resource: "pods")
        metrics.observe(
            KubernetesClient.RequestObservation(
                request: RequestInfo(verb: .get, resource: PersistentVolumeClaim.resource),
                httpStatus: 200,
                duration: .milliseconds(20),
                method: "GET",
                host: "10.96.0.1:443"
            )
        )
    }

    @Test func `every value has its metric`() {
        observeAll(metrics())
        let text = registry.exposition()
        let web =
            #"driver_name="a.csi",namespace="default",persistentvolumeclaim="csi-pvc",pod="web-0",volume="data,logs""#
        let scratch = #"driver_name="a.csi",namespace="default",persistentvolumeclaim="",pod="web-0",volume="scratch""#
        let database = #"driver_name="b.csi",namespace="default",persistentvolumeclaim="db",pod="db-0",volume="data""#
        let logs = #"driver_name="b.csi",namespace="default",persistentvolumeclaim="db-logs",pod="db-0",volume="logs""#
        for line in [
            #"csi_node_volume_health_status{\#(web),status="DataLoss"} 1"#,
            #"csi_node_volume_health_status{\#(web),status="Degraded"} 1"#,
            #"csi_node_volume_health_status{\#(scratch),status="Inaccessible"} 1"#,
            "csi_node_volume_unanswered_seconds{\(database)} 400", "csi_node_volume_flapping{\(logs)} 1",
            #"csi_node_storage_backend_health_status{driver_name="a.csi",status="StorageUnreachable",reason="PathDown"} 1"#,
            #"csi_node_storage_backend_health_status{driver_name="a.csi",status="Unknown",reason="Later"} 1"#,
            #"csi_volume_health_volumes{driver_name="a.csi",state="healthy"} 5"#,
            #"csi_volume_health_volumes{driver_name="a.csi",state="unhealthy"} 2"#,
            #"csi_volume_health_volumes{driver_name="a.csi",state="unknown"} 1"#,
            #"csi_volume_health_volumes{driver_name="a.csi",state="waiting"} 3"#,
            #"csi_volume_health_backing_off_volumes{driver_name="a.csi"} 0"#,
            #"csi_volume_health_backing_off_volumes{driver_name="b.csi"} 1"#,
            #"csi_volume_health_driver_connected{driver_name="a.csi"} 1"#,
            #"csi_volume_health_driver_connected{driver_name="unknown-driver"} 0"#,
            #"csi_volume_health_driver_supported{driver_name="a.csi"} 1"#,
            #"csi_volume_health_driver_supported{driver_name="c.csi"} 0"#,
            #"csi_volume_health_driver_hanging{driver_name="a.csi"} 0"#,
            #"csi_volume_health_driver_hanging{driver_name="b.csi"} 1"#,
            #"csi_volume_health_driver_info{driver_name="a.csi",driver_version="1.2",method="NodeGetVolumeHealth",generation="health"} 1"#,
            #"csi_volume_health_driver_info{driver_name="b.csi",driver_version="1.2",method="NodeGetVolumeStats",generation="legacy"} 1"#,
            #"csi_volume_health_driver_info{driver_name="c.csi",driver_version="1.2",method="none",generation="none"} 1"#,
            "csi_volume_health_pods 11", "csi_volume_health_unresolved_claims 2", "csi_volume_health_up 1",
            #"csi_volume_health_watch_age_seconds{resource="pods"} 30"#,
            #"csi_volume_health_rbac_rule_missing{rule="{verbs}"} 1"#, "csi_volume_health_monitor_interval_seconds 60",
            #"csi_volume_health_probe_total{method="NodeGetVolumeHealth",result="success"} 1"#,
            #"csi_volume_health_unknown_condition_total{status="9"} 1"#,
            "csi_volume_health_unspecified_reasons_total 1",
            #"csi_volume_health_reports_total{kind="event",result="recorded"} 1"#,
            #"csi_volume_health_api_requests_total{verb="get",resource="persistentvolumeclaims",code="200"} 1"#,
            #"csi_volume_health_undecodable_objects_total{resource="pods"} 1"#,
            #"csi_volume_health_build_info{version="0.1",revision="abc",swift_version="6.2"} 1"#,
        ] {
            #expect(text.contains("\n\(line)\n"), "\(line)")
        }
        let samples = text.split(separator: "\n").filter { !$0.hasPrefix("#") }
            .compactMap { line in line.lastIndex(of: " ").map { line[..<$0] } }
        #expect(Set(samples).count == samples.count)
    }

    @Test func `volumes of drivers that are not monitored have no series`() {
        _ = metrics()
        #expect(!registry.exposition().contains("excluded.csi"))
    }

    @Test func `a driver that is not identified is neither supported nor unsupported`() {
        _ = metrics()
        let lines = registry.exposition().split(separator: "\n").filter { $0.contains("unknown-driver") }
        #expect(
            lines.compactMap { $0.split(separator: "{").first } == [
                "csi_volume_health_driver_connected", "csi_volume_health_driver_hanging",
            ]
        )
    }

    @Test func `the last sweep is a time in whole seconds`() throws {
        let sweep = try #require(
            Self.snapshot.metrics(at: 1_700_000_020.25).first {
                $0.description.name == "csi_volume_health_last_sweep_timestamp_seconds"
            }
        )
        var text = PrometheusText()
        sweep.write(to: &text)
        let samples = text.output.split(separator: "\n").filter { !$0.hasPrefix("#") }
        #expect(samples == [#"csi_volume_health_last_sweep_timestamp_seconds{driver_name="a.csi"} 1.7e+09"#])
    }

    @Test(arguments: ["NodeGetVolumeStats", "NodeGetVolumeHealth", "NodeGetStorageHealth"])
    func `calls for health are probes`(method: String) {
        metrics().observe(call(method, "DeadlineExceeded"))
        let text = registry.exposition()
        #expect(text.contains("csi_volume_health_probe_total{method=\"\(method)\",result=\"error\"} 1\n"))
        #expect(text.contains("csi_volume_health_probe_duration_seconds_count{method=\"\(method)\"} 1\n"))
    }

    @Test func `calls for capabilities are no probes`() {
        metrics().observe(call("NodeGetCapabilities"))
        let text = registry.exposition()
        #expect(text.contains("csi_sidecar_operations_seconds_count"))
        #expect(!text.contains("csi_volume_health_probe_total{"))
    }

    @Test func `before the monitor has started there is no volume`() {
        _ = metrics(AgentSnapshot(isUp: false))
        let text = registry.exposition()
        #expect(text.contains("\ncsi_volume_health_up 0\n"))
        #expect(!text.contains("csi_volume_health_volumes"))
        #expect(!text.contains("csi_volume_health_pods"))
    }

    @Test func `docs/metrics.md has exactly the agent's metrics, with types, labels and valid example queries`()
        async throws
    {
        observeAll(metrics())
        try await MetricsPage.agent().check(registry.exposition())
    }

    @Test func `promtool accepts the exposition`() async throws {
        observeAll(metrics())
        let promtool = try Tool.find("promtool", package: "prometheus")
        let verdict = try await Tool.run(promtool, ["check", "metrics"], input: registry.exposition())
        #expect(verdict.exitCode == 0)
        #expect(verdict.output + verdict.errors == "")
    }
}
