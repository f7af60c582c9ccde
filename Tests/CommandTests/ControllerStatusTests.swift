// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Metrics
import Testing

@testable import CSIClient
@testable import ControllerMonitor
@testable import HealthRuntime
@testable import KubernetesClient
@testable import csi_health_monitor

@Suite struct ControllerStatusTests {
    private let registry = MetricsRegistry()
    private let status = ControllerStatus()

    private var metrics: SidecarMetrics {
        SidecarMetrics(
            registry: registry,
            configuration: .init(
                build: .init(version: "0", revision: "unknown", swiftVersion: "6.2"),
                listVolumesInterval: .seconds(300),
                monitorInterval: .seconds(60)
            ),
            driverName: status.driverName,
            snapshot: status.snapshot
        )
    }

    /// The samples that begin with `prefix`.
    private func lines(_ prefix: String) -> [String] {
        registry.exposition().split(separator: "\n").filter { $0.hasPrefix(prefix) }.map(String.init)
    }

    @Test func `before the driver is identified there is no connection, no Lease and no volume`() {
        _ = metrics
        #expect(
            lines("csi_volume_health_driver_connected")
                == [#"csi_volume_health_driver_connected{driver_name="unknown-driver"} 0"#]
        )
        #expect(lines("csi_volume_health_leader") == [#"csi_volume_health_leader{driver_name="unknown-driver"} 0"#])
        #expect(lines("leader_election_master_status").isEmpty)
        #expect(lines("csi_volume_health_volumes").isEmpty)
        #expect(status.driverProblem()?.contains("has not been identified yet") == true)
    }

    private func observe(_ httpStatus: Int?, lacksRule: Bool = false) {
        status.requests.observe(
            KubernetesClient.RequestObservation(
                request: RequestInfo(verb: .get, resource: CSIDriverObject.resource),
                httpStatus: httpStatus,
                duration: .zero,
                method: "GET",
                host: "h:443",
                lacksRule: lacksRule
            )
        )
    }

    @Test func `two requests in a row without a response or with 401 are a failure`() {
        observe(nil)
        #expect(status.readiness().apiServer == nil)
        observe(401)
        #expect(status.readiness().apiServer?.reason == "get csidrivers at h:443: 401 Unauthorized")
        observe(503)
        #expect(status.readiness().apiServer == nil)
    }

    @Test func `an RBAC rule is missing until a request is served, and optional if no report needs it`() {
        let rule = #"{apiGroups: ["storage.k8s.io"], resources: ["csidrivers"], verbs: ["get"]}"#
        observe(403, lacksRule: true)
        observe(404)
        #expect(Array(status.readiness().missingRules.keys) == [rule])
        status.set(optionalRules: [rule])
        #expect(status.readiness().missingRules.isEmpty)
        #expect(status.readiness().missingOptionalRules == [rule])
        observe(200)
        #expect(status.readiness().missingOptionalRules.isEmpty)
    }

    @Test func `the metric of the Lease shows whether it is held`() {
        _ = metrics
        for isLeading in [false, true] {
            status.set(leaseName: "external-health-monitor-leader-d") { isLeading }
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
    func `a call that reports health is counted as an operation and as a probe`(method: String) {
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
    func `any other call is counted as an operation only`(method: String) {
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
    func `the monitor's observations are counted`(observation: MonitorObservation, line: String) {
        metrics.observe(observation)
        #expect(lines(line) == [line])
    }

    @Test(arguments: [(nil, 1), ("GET_VOLUME_HEALTH", 0)])
    func `a driver that lacks capabilities is not supported`(missing: String?, isSupported: Int) {
        let health = HealthSnapshot(
            unhealthyClaims: [],
            healthyVolumes: 3,
            unhealthyVolumes: 1,
            unknownVolumes: 2,
            events: .init(depth: 5, oldest: .seconds(4), adds: 8),
            statuses: .init(depth: 7, oldest: .seconds(6), adds: 9),
            isStatusSupported: missing == nil,
            missingCapabilities: missing,
            method: .init(name: "ListVolumes", generation: "legacy")
        )
        let snapshot = SidecarSnapshot(isDriverConnected: true, driverVersion: "1.2", health: health)
        registry.collect { snapshot.metrics(at: 0) }
        #expect(lines("csi_volume_health_driver_supported") == ["csi_volume_health_driver_supported \(isSupported)"])
        #expect(lines("csi_volume_health_status_supported") == ["csi_volume_health_status_supported \(isSupported)"])
        #expect(
            lines("csi_volume_health_driver_info") == [
                #"csi_volume_health_driver_info{driver_version="1.2",method="ListVolumes",generation="legacy"} 1"#
            ]
        )
        #expect(
            lines("csi_volume_health_volumes") == [
                #"csi_volume_health_volumes{state="healthy"} 3"#, #"csi_volume_health_volumes{state="stale"} 0"#,
                #"csi_volume_health_volumes{state="unhealthy"} 1"#, #"csi_volume_health_volumes{state="unknown"} 2"#,
            ]
        )
        #expect(
            lines("workqueue_adds_total")
                == [#"workqueue_adds_total{name="events"} 8"#, #"workqueue_adds_total{name="status"} 9"#]
        )
        #expect(
            lines("csi_volume_health_report_queue_depth") == [
                #"csi_volume_health_report_queue_depth{queue="events"} 5"#,
                #"csi_volume_health_report_queue_depth{queue="status"} 7"#,
            ]
        )
        #expect(
            lines("csi_volume_health_report_queue_oldest_seconds") == [
                #"csi_volume_health_report_queue_oldest_seconds{queue="events"} 4"#,
                #"csi_volume_health_report_queue_oldest_seconds{queue="status"} 6"#,
            ]
        )
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
