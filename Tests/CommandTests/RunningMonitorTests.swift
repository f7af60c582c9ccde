// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Diagnostics
import Testing

@testable import CSIClient
@testable import HealthMonitor
@testable import csi_health_monitor

/// The wiring between what runs and what is shown of it.
@Suite struct RunningMonitorTests {
    private let registry = MetricsRegistry()
    private let running = RunningMonitor()

    private var metrics: SidecarMetrics {
        let running = running
        return SidecarMetrics(registry: registry) { running.snapshot() }
    }

    /// The lines of the metrics that begin so.
    private func lines(_ prefix: String) -> [String] {
        registry.exposition().split(separator: "\n").filter { $0.hasPrefix(prefix) }.map(String.init)
    }

    @Test func beforeAnythingRunsNothingIsConnectedAndNothingIsMissed() {
        _ = metrics
        #expect(lines("csi_volume_health_driver_connected") == ["csi_volume_health_driver_connected 0"])
        #expect(lines("csi_volume_health_leader") == ["csi_volume_health_leader 0"])
        #expect(lines("csi_volume_health_volumes").isEmpty)
        #expect(running.driverProblem() == nil)
    }

    @Test(arguments: [
        "ListVolumes", "ControllerGetVolume", "ControllerListVolumeHealth", "ControllerGetVolumeHealth",
    ])
    func aCallThatAsksForHealthIsAnOperationAndAProbe(method: String) {
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
    func anyOtherCallIsAnOperationAlone(method: String) {
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
        (.unspecifiedReason, "csi_volume_health_unspecified_reasons_total 1"),
        (.unknownCondition(type: 7), "csi_volume_health_unknown_condition_total{status=\"7\"} 1"),
        (.sweepCompleted(duration: .milliseconds(1500)), "csi_volume_health_sweep_duration_seconds 1.5"),
    ])
    func whatTheMonitorObservesIsCounted(observation: MonitorObservation, line: String) {
        metrics.observe(observation)
        #expect(lines(line) == [line])
    }

    @Test(arguments: [(nil, true), ("GET_VOLUME_HEALTH", false)])
    func aLeaderShowsWhatItKnows(missing: String?, isSupported: Bool) {
        let snapshot = HealthSnapshot(
            adverseClaims: [.init(namespace: "shop", name: "data", statuses: ["Degraded"])],
            healthyVolumes: 3,
            adverseVolumes: 1,
            unknownVolumes: 2,
            events: .init(depth: 5, oldest: .seconds(4)),
            statuses: .init(depth: 7, oldest: .seconds(6)),
            isStatusSupported: isSupported,
            missingCapabilities: missing
        )
        let volumes = SidecarSnapshot.Volumes(snapshot)
        #expect(volumes.adverseClaims.map(\.namespace) == ["shop"])
        #expect(volumes.adverseClaims.map(\.name) == ["data"])
        #expect(volumes.adverseClaims.map(\.statuses) == [["Degraded"]])
        #expect([volumes.healthy, volumes.adverse, volumes.unknown] == [3, 1, 2])
        #expect([volumes.events.depth, volumes.statuses.depth] == [5, 7])
        #expect([volumes.events.oldest, volumes.statuses.oldest] == [.seconds(4), .seconds(6)])
        #expect(volumes.isDriverSupported == isSupported)
        #expect(volumes.isStatusSupported == isSupported)
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
