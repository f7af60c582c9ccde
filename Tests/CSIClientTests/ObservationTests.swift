// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import CSIClient
import GRPCTransport
import HealthMonitorTestKit
import Synchronization
import Testing

@Suite(.timeLimit(.minutes(50))) struct ObservationTests {
    @Test func `every call is observed with its driver, method and code`() async throws {
        let seen = Mutex<[String]>([])
        let observer: @Sendable (CSIClient.CallObservation) -> Void = { call in
            seen.withLock { $0.append("\(call.driverName) \(call.method) \(call.code)") }
            #expect(call.duration > .zero)
        }
        try await withDriver(observer: observer) { _, client in
            _ = try await client.waitForIdentity(clock: ManualClock())
            _ = try? await client.getVolume(id: "missing")
        }
        #expect(
            seen.withLock { $0 } == [
                "unknown-driver /csi.v1.Identity/Probe OK",
                "unknown-driver /csi.v1.Identity/GetPluginInfo OK",
                "hostpath.csi.k8s.io /csi.v1.Identity/GetPluginCapabilities OK",
                "hostpath.csi.k8s.io /csi.v1.Controller/ControllerGetCapabilities OK",
                "hostpath.csi.k8s.io /csi.v1.Controller/ControllerGetVolume NotFound",
            ]
        )
    }

    @Test func `a reply without a required field is not usable`() async throws {
        let seen = Mutex<[String]>([])
        let observer: @Sendable (CSIClient.CallObservation) -> Void = { call in
            seen.withLock { $0.append("\(call.code) \(call.isUsable)") }
        }
        try await withDriver(observer: observer) { driver, client in
            driver.intercept { _ in .reply([]) }
            _ = try? await client.getVolumeHealth(id: "a")
            _ = try? await client.getVolume(id: "a")
            driver.intercept { _ in .reply([0xFF]) }
            _ = try? await client.getVolume(id: "a")
            driver.intercept(nil)
            driver.volumes = [SimulatedVolume(id: "a")]
            _ = try await client.getVolume(id: "a")
        }
        #expect(seen.withLock { $0 } == ["OK false", "OK false", "OK false", "OK true"])
    }

    @Test func `requests and responses are traced`() async throws {
        let log = makeLog()
        try await withDriver(logger: log.logger) { driver, client in
            driver.volumes = [SimulatedVolume(id: "a", condition: .abnormal("gone"))]
            _ = try await client.getVolume(id: "a")
        }
        #expect(log.text().contains("trace GRPC call"))
        #expect(log.text().contains(#"{"volumeId":"a"}"#), "\(log.text())")
        #expect(log.text().contains(#""message":"gone""#))
    }
}
