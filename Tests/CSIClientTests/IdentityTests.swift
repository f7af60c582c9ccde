// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import CSIClient
import Foundation
import GRPCTransport
import HealthMonitorTestKit
import Synchronization
import Testing

@Suite(.timeLimit(.minutes(50))) struct IdentityTests {
    @Test func `a driver's identity and capabilities are read`() async throws {
        try await withDriver { _, client in
            let identity = try await client.waitForIdentity(clock: ManualClock())
            #expect(identity.name == "hostpath.csi.k8s.io")
            #expect(identity.vendorVersion == "v1.17.0")
            #expect(identity.controllerCapabilities == [.listVolumes, .volumeCondition, .getVolume])
            #expect(identity.controllerCapabilities.isSuperset(of: [.listVolumes, .volumeCondition]))
        }
    }

    @Test(arguments: [[], [3], [11], [12, 11], [1, 2, 5, 99]])
    func `one capability does not imply the other`(numbers: [Int]) async throws {
        try await withDriver(.init(controllerCapabilities: numbers)) { _, client in
            let identity = try await client.waitForIdentity(clock: ManualClock())
            #expect(!identity.controllerCapabilities.isSuperset(of: [.listVolumes, .volumeCondition]))
        }
    }

    @Test func `the capabilities of both generations are read`() async throws {
        try await withDriver(.init(controllerCapabilities: [3, 11, 12, 16, 17])) { _, client in
            let identity = try await client.waitForIdentity(clock: ManualClock())
            #expect(
                identity.controllerCapabilities
                    == [.listVolumes, .volumeCondition, .getVolume, .getVolumeHealth, .listVolumeHealth]
            )
        }
    }

    @Test func `a driver without a controller service has no capabilities`() async throws {
        try await withDriver(.init(controllerCapabilities: nil)) { driver, client in
            let identity = try await client.waitForIdentity(clock: ManualClock())
            #expect(identity.controllerCapabilities.isEmpty)
            #expect(driver.journal.calls("ControllerGetCapabilities").isEmpty)
        }
    }

    /// Every failure is retried: the responses of a driver that is not ready.
    @Test func `a driver that is not ready is probed again with back-off`() async throws {
        let log = makeLog()
        let responses = Mutex<[SimulatedResponse]>([
            // ready: BoolValue {}, which is false
            .reply([0x0A, 0]),
            .fail(.deadlineExceeded, "slow"),
            .fail(.unavailable, "starting"),
            .reply([0xFF, 0xFF]),
        ])
        try await withDriver(logger: log.logger) { driver, client in
            driver.intercept { call in
                guard call.method.hasSuffix("Probe") else { return nil }
                return responses.withLock { $0.isEmpty ? nil : $0.removeFirst() }
            }
            let clock = ManualClock()
            let identification = Task { try await client.waitForIdentity(clock: clock) }
            for wait in [1, 2, 4, 8] {
                await clock.sleeper(ofAtLeast: .seconds(wait))
                clock.advance(by: .seconds(wait))
            }
            let identity = try await identification.value
            #expect(identity.name == "hostpath.csi.k8s.io")
            #expect(driver.journal.calls("Probe").count == 5)
        }
        #expect(log.text().contains("the driver is not ready"))
        #expect(log.text().contains("notice CSI driver is ready"))
    }

    /// Source: unix(7); a server whose socket file was replaced keeps its connections.
    @Test func `a new driver is identified while an earlier process holds its connection and does not respond`()
        async throws
    {
        try await withDriver { stuck, client in
            stuck.intercept { _ in .fail(.deadlineExceeded, "no response") }
            let clock = ManualClock()
            let identification = Task { try await client.waitForIdentity(clock: clock) }
            await clock.sleeper(ofAtLeast: .seconds(1))
            let driver = SimulatedDriver(socket: stuck.socket, configuration: .init(name: "new.example"))
            try driver.start()
            clock.advance(by: .seconds(1))
            #expect(try await identification.value.name == "new.example")
            #expect(stuck.journal.calls("Probe").count == 1)
            await driver.stop()
        }
    }

    @Test func `nothing connects again after the shutdown`() async throws {
        try await withDriver { driver, client in
            try await client.probe()
            await client.shutdown()
            client.reconnect()
            let error = await #expect(throws: CSIError.self) { try await client.probe() }
            #expect(error?.code == .status(.cancelled))
            #expect(driver.journal.calls("Probe").count == 1)
        }
    }

    @Test func `a driver without a name is not accepted`() async throws {
        try await withDriver(.init(name: "")) { driver, client in
            let clock = ManualClock()
            let identification = Task { try await client.waitForIdentity(clock: clock) }
            await clock.sleeper(ofAtLeast: .seconds(1))
            driver.configuration.name = "late.example"
            clock.advance(by: .seconds(1))
            let identity = try await identification.value
            #expect(identity.name == "late.example")
        }
    }

    /// The name is a label of metrics, and the API server takes no such driver in a PersistentVolume.
    @Test(arguments: [(63, "", true), (64, "", false), (10, "\n[+]ok", false)])
    func `a name that the specification forbids is not accepted`(length: Int, end: String, isValid: Bool) async throws {
        let name = String(repeating: "d", count: length) + end
        try await withResponses { method, _ in
            .success(method.hasSuffix("GetPluginInfo") ? Wire.text(1, name) + Wire.text(2, "v1\n2") : [])
        } _: { client in
            do throws(CSIError) {
                let identity = try await client.identity()
                #expect(isValid && identity.vendorVersion == "v1 2")
            } catch {
                #expect(!isValid && error.code == .invalidResponse)
                #expect(!error.message.contains("\n"))
            }
        }
    }

    @Test func `a driver that is not running yet is awaited`() async throws {
        let log = makeLog()
        try await withDriver(logger: log.logger) { driver, client in
            await driver.stop()
            let clock = ManualClock()
            let identification = Task { try await client.waitForIdentity(clock: clock) }
            await clock.sleeper(ofAtLeast: .seconds(1))
            try driver.start()
            // gRPC reconnects after its own back-off; until then more attempts fail.
            while driver.journal.calls("ControllerGetCapabilities").isEmpty {
                clock.advance(by: .seconds(10))
                await pollingPause()
            }
            let identity = try await identification.value
            #expect(identity.name == "hostpath.csi.k8s.io")
        }
        #expect(log.text().contains("warning Waiting for the CSI driver"))
        #expect(log.text().contains("no socket at /tmp/csi-"))
    }

    @Test func `while waiting, a path that becomes a directory is described`() async throws {
        let log = makeLog()
        try await withDriver(logger: log.logger) { driver, client in
            await driver.stop()
            try FileManager.default.createDirectory(atPath: driver.socket, withIntermediateDirectories: false)
            defer { try? FileManager.default.removeItem(atPath: driver.socket) }
            let clock = ManualClock()
            let identification = Task { try await client.waitForIdentity(clock: clock) }
            await clock.sleeper(ofAtLeast: .seconds(1))
            identification.cancel()
            _ = await identification.result
            #expect(log.text().contains("\(driver.socket) is a directory, not a socket"))
        }
    }

    @Test func `the log names the timeout and its flag for a driver that is too slow`() async throws {
        let log = makeLog()
        try await withDriver(timeout: .milliseconds(20), logger: log.logger) { driver, client in
            driver.intercept { _ in .never }
            let clock = ManualClock()
            let identification = Task { try await client.waitForIdentity(clock: clock) }
            await clock.sleeper(ofAtLeast: .seconds(1))
            identification.cancel()
            _ = await identification.result
        }
        #expect(log.text().contains("/csi.v1.Identity/Probe: no response within 0.02 seconds, see --timeout"))
    }

    @Test func `waiting ends on cancellation`() async throws {
        try await withDriver { driver, client in
            driver.intercept { _ in .fail(.unavailable, "no") }
            let clock = ManualClock()
            let identification = Task { try await client.waitForIdentity(clock: clock) }
            await clock.sleeper(ofAtLeast: .seconds(1))
            identification.cancel()
            let result = await identification.result
            #expect(throws: CancellationError.self) { try result.get() }
        }
    }

    @Test func `an upgraded driver's identity is read again`() async throws {
        try await withDriver(.init(controllerCapabilities: [])) { driver, client in
            let before = try await client.waitForIdentity(clock: ManualClock())
            #expect(!before.controllerCapabilities.contains(.volumeCondition))
            await driver.stop()
            driver.configuration.controllerCapabilities = [3, 11]
            driver.configuration.vendorVersion = "v1.18.0"
            try driver.start()
            let clock = ManualClock()
            let identification = Task { try await client.waitForIdentity(clock: clock) }
            while driver.journal.calls("ControllerGetCapabilities").count < 2 {
                clock.advance(by: .seconds(10))
                await pollingPause()
            }
            let identity = try await identification.value
            #expect(identity.controllerCapabilities.isSuperset(of: [.listVolumes, .volumeCondition]))
            #expect(identity.vendorVersion == "v1.18.0")
        }
    }

    @Test func `a connection and its end are noticed`() async throws {
        try await withDriver { driver, client in
            await client.waitUntilDisconnected()
            _ = try await client.waitForIdentity(clock: ManualClock())
            #expect(client.isConnected)
            let disconnection = Task { await client.waitUntilDisconnected() }
            await driver.stop()
            await disconnection.value
            #expect(!client.isConnected)
            try driver.start()
            // Only `isConnected` starts a new connection.
            while !client.isConnected { await pollingPause() }
            #expect(driver.journal.calls("Probe").count == 1)
        }
    }

    @Test func `waiting for a disconnection ends on cancellation`() async throws {
        try await withDriver { _, client in
            _ = try await client.waitForIdentity(clock: ManualClock())
            let disconnection = Task { await client.waitUntilDisconnected() }
            disconnection.cancel()
            await disconnection.value
            #expect(client.isConnected)
        }
    }
}
