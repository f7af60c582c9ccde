// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import GRPCTransport
import HealthMonitorTestKit
import Synchronization
import Testing

@Suite(.timeLimit(.minutes(50))) struct DriverFaultTests {
    @Test func `a call can fail`() async throws {
        try await withRawClient { driver, client in
            driver.intercept { call in
                call.method == "/csi.v1.Identity/Probe" ? .fail(.resourceExhausted, "too many") : nil
            }
            let error = await #expect(throws: GRPCError.self) { try await client.call("Identity/Probe") }
            #expect(error == GRPCError(code: .resourceExhausted, message: "too many"))
            #expect(await client.code("Identity/GetPluginInfo") == .ok)
            driver.intercept(nil)
            #expect(await client.code("Identity/Probe") == .ok)
        }
    }

    @Test func `a response can have any bytes`() async throws {
        try await withRawClient { driver, client in
            driver.intercept { _ in .reply([0xFF, 0, 0xFF]) }
            let response = try await client.call("Identity/Probe")
            #expect(response == [0xFF, 0, 0xFF])
        }
    }

    @Test func `a call can wait for the test`() async throws {
        try await withRawClient { driver, client in
            let (gate, opener) = AsyncStream.makeStream(of: Void.self)
            driver.intercept { call in
                if call.method.hasSuffix("Probe") { for await _ in gate {} }
                return nil
            }
            let probe = Task { try await client.call("Identity/Probe") }
            await driver.journal.wait(for: "Probe", count: 1)
            #expect(await client.code("Identity/GetPluginInfo") == .ok, "others do not wait")
            opener.finish()
            let response = try await probe.value
            #expect(response == [0x0A, 2, 0x08, 1])
        }
    }

    @Test func `a call without a response ends at its deadline`() async throws {
        try await withRawClient { driver, client in
            driver.intercept { _ in .never }
            #expect(await client.code("Identity/Probe", timeout: .milliseconds(50)) == .deadlineExceeded)
        }
    }

    @Test func `stopping the driver ends a call without a response`() async throws {
        try await withRawClient { driver, client in
            driver.intercept { _ in .never }
            let probe = Task { await client.code("Identity/Probe") }
            await driver.journal.wait(for: "Probe", count: 1)
            await driver.stop()
            #expect(await probe.value != .ok)
        }
    }

    @Test func `a driver restarts with other capabilities`() async throws {
        try await withRawClient(.init(controllerCapabilities: [])) { driver, client in
            #expect(try await client.call("Controller/ControllerGetCapabilities") == [])
            await driver.stop()
            #expect(await client.code("Identity/Probe") == .unavailable)
            driver.configuration.controllerCapabilities = [12]
            try driver.start()
            // gRPC reconnects after its own back-off; until then calls fail at once.
            var state = client.channel.connectivityState(tryToConnect: true)
            while state != .ready {
                _ = await client.channel.changesConnectivity(from: state, timeout: .seconds(3600))
                state = client.channel.connectivityState(tryToConnect: true)
            }
            let response = try await client.call("Controller/ControllerGetCapabilities")
            #expect(response == [0x0A, 4, 0x0A, 2, 0x08, 12])
        }
    }

    @Test func `a driver may be stopped twice`() async throws {
        try await withRawClient { driver, client in
            await driver.stop()
            await driver.stop()
            #expect(await client.code("Identity/Probe") == .unavailable)
        }
    }

    // MARK: Journal

    @Test func `the journal has every call in order`() async throws {
        try await withRawClient { driver, client in
            _ = await client.code("Controller/ListVolumes", [0x08, 0xAC, 2, 0x12] + counted("x"))
            _ = await client.code("Controller/ControllerGetVolume", [0x0A] + counted("vol"))
            _ = await client.code("Nobody/Nothing")
            _ = await client.code("Controller/ListVolumes")
            #expect(
                driver.journal.records.map(\.method) == [
                    "/csi.v1.Controller/ListVolumes",
                    "/csi.v1.Controller/ControllerGetVolume",
                    "/csi.v1.Nobody/Nothing",
                    "/csi.v1.Controller/ListVolumes",
                ]
            )
            #expect(driver.journal.calls("ListVolumes").map(\.maxEntries) == [300, 0])
            #expect(driver.journal.calls("ListVolumes").map(\.startingToken) == ["x", ""])
            #expect(driver.journal.calls("ControllerGetVolume").map(\.volumeID) == ["vol"])
        }
    }

    @Test func `the journal waits for future calls`() async throws {
        try await withRawClient { driver, client in
            let journal = driver.journal
            let counts = Mutex<[Int]>([])
            let waiting = Task {
                await journal.wait(for: "Probe", count: 2)
                counts.withLock { $0.append(journal.calls("Probe").count) }
            }
            _ = await client.code("Identity/Probe")
            _ = await client.code("Identity/GetPluginInfo")
            #expect(counts.withLock { $0 } == [])
            _ = await client.code("Identity/Probe")
            await waiting.value
            #expect(counts.withLock { $0 } == [2])
            await journal.wait(for: "Probe", count: 1)
        }
    }

    @Test func `waiting for calls ends on cancellation`() async {
        let journal = SimulatedDriver(socket: "/nowhere").journal
        let waiting = Task { await journal.wait(for: "Probe", count: 1) }
        waiting.cancel()
        await waiting.value
        #expect(journal.records.isEmpty)
    }
}
