// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Foundation
import GRPCTransport
import HealthMonitorTestKit
import Testing

/// The health RPCs of CSI 1.13, held against bytes written by hand.
@Suite(.timeLimit(.minutes(1))) struct VolumeHealthTests {
    static let capable = SimulatedDriver.Configuration(
        controllerCapabilities: SimulatedDriver.Configuration.healthCapabilities
    )
    /// volume_id=1 "v", health_statuses=2 { status=1: 3, reason=2 "R", message=3 "m" }
    static let sick: [UInt8] = [0x0A, 1, 0x76, 0x12, 8, 0x08, 3, 0x12, 1, 0x52, 0x1A, 1, 0x6D]

    @Test func aVolumeIsToldWithWhatIsWrong() async throws {
        try await withRawClient(Self.capable) { driver, client in
            driver.set(health: [.init(status: 3, reason: "R", message: "m")], ofVolume: "v")
            let answer = try await client.call("Controller/ControllerGetVolumeHealth", [0x0A, 1, 0x76])
            #expect(answer == [0x0A, 13] + Self.sick)
            let call = driver.journal.calls("ControllerGetVolumeHealth").first
            #expect(call?.volumeID == "v")
        }
    }

    @Test func aVolumeThatItDoesNotHaveIsNotFound() async throws {
        try await withRawClient(Self.capable) { _, client in
            #expect(await client.code("Controller/ControllerGetVolumeHealth", [0x0A, 1, 0x76]) == .notFound)
        }
    }

    @Test(arguments: [false, true])
    func theListLeavesOutWhatIsWellUnlessItIsToldOtherwise(listsHealthy: Bool) async throws {
        try await withRawClient(Self.capable) { driver, client in
            driver.configuration.listsHealthyVolumes = listsHealthy
            driver.set(health: [], ofVolume: "w")
            driver.set(health: [.init(status: 3, reason: "R", message: "m")], ofVolume: "v")
            let answer = try await client.call("Controller/ControllerListVolumeHealth")
            #expect(answer == (listsHealthy ? [0x0A, 3, 0x0A, 1, 0x77] : []) + [0x0A, 13] + Self.sick)
        }
    }

    @Test func theJournalHasTheSecrets() async throws {
        try await withRawClient(Self.capable) { driver, client in
            // max_entries=1: 5, starting_token=2 "0", secrets=3 { "k": "s" }
            let request: [UInt8] = [0x08, 5, 0x12, 1, 0x30, 0x1A, 6, 0x0A, 1, 0x6B, 0x12, 1, 0x73]
            _ = try await client.call("Controller/ControllerListVolumeHealth", request)
            let call = driver.journal.calls("ControllerListVolumeHealth").first
            #expect(call?.maxEntries == 5)
            #expect(call?.startingToken == "0")
            #expect(call?.secrets == ["k": "s"])
        }
    }

    static let markers: [(String, [UInt8])] = [
        (#"{"status": "DataLoss", "reason": "R", "message": "m"}"#, [0x12, 8, 0x08, 3, 0x12, 1, 0x52, 0x1A, 1, 0x6D]),
        (#"[{"status": "DEGRADED", "reason": "R"}]"#, [0x12, 5, 0x08, 1, 0x12, 1, 0x52]),
        ("[]", []),
        ("no JSON", [0x12, 18, 0x12, 16] + Array("UnreadableMarker".utf8)),
    ]

    @Test(arguments: markers)
    func aMarkerFileSaysWhatIsWrong(text: String, health: [UInt8]) async throws {
        let directory = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: directory) }
        let volume = directory.appendingPathComponent("v")
        try FileManager.default.createDirectory(at: volume, withIntermediateDirectories: true)
        try Data(text.utf8).write(to: directory.appendingPathComponent("v.health"))
        try await withRawClient(Self.capable) { driver, client in
            driver.volumes = [SimulatedVolume(id: "v", backingDirectory: volume.path)]
            let answer = try await client.call("Controller/ControllerGetVolumeHealth", [0x0A, 1, 0x76])
            #expect(answer == [0x0A, UInt8(3 + health.count), 0x0A, 1, 0x76] + health)
        }
    }
}
