// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import ControllerCore
import Diagnostics
import HealthCore
import Testing

@testable import CSIClient
@testable import ControllerMonitor
@testable import HealthRuntime
@testable import KubernetesClient
@testable import csi_health_monitor

/// The wiring between what runs and what is shown of it.
@Suite struct RunningMonitorTests {
    private let registry = MetricsRegistry()
    private let running = RunningMonitor()

    private var metrics: SidecarMetrics {
        let running = running
        return SidecarMetrics(
            registry: registry,
            configuration: .init(
                version: "0",
                revision: "unknown",
                swiftVersion: "6.2",
                listVolumesInterval: .seconds(300),
                monitorInterval: .seconds(60)
            ),
            driverName: running.driverName,
            snapshot: running.snapshot
        )
    }

    /// The lines of the metrics that begin so.
    private func lines(_ prefix: String) -> [String] {
        registry.exposition().split(separator: "\n").filter { $0.hasPrefix(prefix) }.map(String.init)
    }

    @Test func `before anything runs nothing is connected and nothing is missed`() {
        _ = metrics
        #expect(
            lines("csi_volume_health_driver_connected")
                == [#"csi_volume_health_driver_connected{driver_name="unknown-driver"} 0"#]
        )
        #expect(lines("csi_volume_health_leader") == [#"csi_volume_health_leader{driver_name="unknown-driver"} 0"#])
        #expect(lines("leader_election_master_status").isEmpty)
        #expect(lines("csi_volume_health_volumes").isEmpty)
        #expect(running.driverProblem()?.contains("not identified yet") == true)
    }

    private func observe(_ status: Int?, lacksRule: Bool = false) {
        running.observe(
            KubernetesClient.RequestObservation(
                request: RequestInfo(verb: .get, resource: CSIDriverObject.resource),
                httpStatus: status,
                duration: .zero,
                method: "GET",
                host: "h:443",
                lacksRule: lacksRule
            )
        )
    }

    @Test func `requests without an answer are a failure from the second in a row on`() {
        observe(nil)
        #expect(running.readiness().apiServer == nil)
        observe(401)
        #expect(running.readiness().apiServer?.reason == "get csidrivers at h:443: 401 Unauthorized")
        observe(503)
        #expect(running.readiness().apiServer == nil)
    }

    @Test func `a missing rule is named until a request is served, one that no report needs apart`() {
        let rule = #"{apiGroups: ["storage.k8s.io"], resources: ["csidrivers"], verbs: ["get"]}"#
        observe(403, lacksRule: true)
        observe(404)
        #expect(Array(running.readiness().missingRules.keys) == [rule])
        running.set(optionalRules: [rule])
        #expect(running.readiness().missingRules.isEmpty)
        #expect(running.readiness().missingOptionalRules == [rule])
        observe(200)
        #expect(running.readiness().missingOptionalRules.isEmpty)
    }

    @Test func `the lease is shown by its name, held or not`() {
        _ = metrics
        for isLeading in [false, true] {
            running.set(leaseName: "external-health-monitor-leader-d") { isLeading }
            #expect(
                lines("leader_election_master_status") == [
                    #"leader_election_master_status{name="external-health-monitor-leader-d"} \#(isLeading ? 1 : 0)"#
                ]
            )
        }
    }

    @Test(arguments: [
        "ListVolumes", "ControllerGetVolume", "ControllerListVolumeHealth", "ControllerGetVolumeHealth",
    ])
    func `a call that asks for health is an operation and a probe`(method: String) {
        let metrics = metrics
        for code in ["OK", "OK", "DeadlineExceeded"] {
            metrics.observe(call(method: "/csi.v1.Controller/\(method)", code: code))
        }
        #expect(
            lines("csi_volume_health_probe_total") == [
                "csi_volume_health_probe_total{method=\"\(method)\",result=\"error\"} 1",
                "csi_volume_health_probe_total{method=\"\(method)\",result=\"success\"} 2",
            ]
        )
        #expect(
            lines("csi_volume_health_probe_duration_seconds_count")
                == ["csi_volume_health_probe_duration_seconds_count{method=\"\(method)\"} 3"]
        )
        #expect(lines("csi_sidecar_operations_seconds_count").count == 2)
    }

    @Test(arguments: ["/csi.v1.Identity/Probe", "/csi.v1.Controller/ControllerGetCapabilities"])
    func `any other call is an operation alone`(method: String) {
        metrics.observe(call(method: method, code: "OK"))
        #expect(lines("csi_volume_health_probe_total").isEmpty)
        #expect(
            lines("csi_sidecar_operations_seconds_count") == [
                "csi_sidecar_operations_seconds_count{driver_name=\"d\",grpc_status_code=\"OK\","
                    + "method_name=\"\(method)\"} 1"
            ]
        )
    }

    @Test(arguments: [
        (MonitorObservation.statusWriteDropped, "csi_volume_health_status_writes_dropped_total 1"),
        (.unspecifiedReason, #"csi_volume_health_unspecified_reasons_total{driver_name="unknown-driver"} 1"#),
        (.unknownCondition(type: 7), "csi_volume_health_unknown_condition_total{status=\"7\"} 1"),
        (
            .sweepCompleted(duration: .milliseconds(1500)),
            #"csi_volume_health_sweep_seconds_sum{driver_name="unknown-driver"} 1.5"#
        ),
        (
            report(.event, .refused), #"workqueue_retries_total{name="events"} 1"#
        ),
        (
            report(.status, .recorded), #"workqueue_retries_total{name="status"} 0"#
        ),
        (
            report(.nodeFailure, .gone),
            #"csi_volume_health_reports_total{driver_name="unknown-driver",kind="node_failure",result="gone"} 1"#
        ),
    ])
    func `what the monitor observes is counted`(observation: MonitorObservation, line: String) {
        metrics.observe(observation)
        #expect(lines(line) == [line])
    }

    @Test(arguments: [(nil, true), ("GET_VOLUME_HEALTH", false)])
    func `a leader shows what it knows`(missing: String?, isSupported: Bool) {
        let snapshot = HealthSnapshot(
            unhealthyClaims: [
                .init(
                    namespace: "shop",
                    name: "data",
                    state: VolumeState([.init(status: .degraded, reason: "Slow", message: "m")]),
                    age: .seconds(3)
                )
            ],
            healthyVolumes: 3,
            unhealthyVolumes: 1,
            unknownVolumes: 2,
            events: .init(depth: 5, oldest: .seconds(4), adds: 8),
            statuses: .init(depth: 7, oldest: .seconds(6), adds: 9),
            isStatusSupported: isSupported,
            missingCapabilities: missing,
            method: .init(name: "ListVolumes", generation: "legacy")
        )
        let volumes = SidecarSnapshot.Volumes(snapshot, driverVersion: "1.2")
        #expect(volumes.unhealthyClaims.map(\.namespace) == ["shop"])
        #expect(volumes.unhealthyClaims.map(\.name) == ["data"])
        #expect(volumes.unhealthyClaims.map { $0.conditions.map(\.status) } == [["Degraded"]])
        #expect(volumes.unhealthyClaims.map { $0.conditions.map(\.reason) } == [["Slow"]])
        #expect(volumes.unhealthyClaims.map(\.age) == [.seconds(3)])
        #expect(volumes.driver.map { [$0.version, $0.method, $0.generation] } == ["1.2", "ListVolumes", "legacy"])
        #expect([volumes.events.adds, volumes.statuses.adds] == [8, 9])
        #expect([volumes.healthy, volumes.unhealthy, volumes.unknown] == [3, 1, 2])
        #expect([volumes.events.depth, volumes.statuses.depth] == [5, 7])
        #expect([volumes.events.oldest, volumes.statuses.oldest] == [.seconds(4), .seconds(6)])
        #expect(volumes.isDriverSupported == isSupported)
        #expect(volumes.isStatusSupported == isSupported)
    }

    private static func report(
        _ kind: ReportObservation.Kind,
        _ result: ReportObservation.Result
    ) -> MonitorObservation {
        .reported(ReportObservation(kind: kind, result: result, duration: .milliseconds(5)))
    }

    private func call(method: String, code: String) -> CSIClient.CallObservation {
        CSIClient.CallObservation(
            driverName: "d",
            method: method,
            code: code,
            isUsable: code == "OK",
            duration: .milliseconds(20)
        )
    }
}
