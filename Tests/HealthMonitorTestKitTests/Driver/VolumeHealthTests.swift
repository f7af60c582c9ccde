// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Foundation
import GRPCTransport
import HealthMonitorTestKit
import Testing

/// The health RPCs of CSI 1.13, against bytes written by hand.
@Suite(.timeLimit(.minutes(50))) struct VolumeHealthTests {
    /// volume_id=1 "v", health_statuses=2 { status=1: 3, reason=2 "R", message=3 "m" }
    static let unhealthy: [UInt8] = [0x0A, 1, 0x76, 0x12, 8, 0x08, 3, 0x12, 1, 0x52, 0x1A, 1, 0x6D]

    @Test func `a volume is listed with its health entries`() async throws {
        try await withRawClient(.health) { driver, client in
            driver.set(health: [.init(status: 3, reason: "R", message: "m")], ofVolume: "v")
            let response = try await client.call("Controller/ControllerGetVolumeHealth", [0x0A, 1, 0x76])
            #expect(response == [0x0A, 13] + Self.unhealthy)
            let call = driver.journal.calls("ControllerGetVolumeHealth").first
            #expect(call?.volumeID == "v")
            #expect(call?.secrets == [:])
        }
    }

    @Test func `a volume may have several entries of any status`() async throws {
        try await withRawClient(.health) { driver, client in
            driver.set(health: [.init(status: 0, reason: ""), .init(status: 300, reason: "R")], ofVolume: "v")
            let response = try await client.call("Controller/ControllerGetVolumeHealth", [0x0A, 1, 0x76])
            #expect(response == [0x0A, 13, 0x0A, 1, 0x76, 0x12, 0, 0x12, 6, 0x08, 0xAC, 2, 0x12, 1, 0x52])
        }
    }

    @Test func `an unknown volume is NOT_FOUND`() async throws {
        try await withRawClient(.health) { _, client in
            #expect(await client.code("Controller/ControllerGetVolumeHealth", [0x0A, 1, 0x76]) == .notFound)
        }
    }

    @Test(arguments: [false, true])
    func `the list omits healthy volumes unless it is configured otherwise`(listsHealthy: Bool) async throws {
        try await withRawClient(.health) { driver, client in
            driver.configuration.listsHealthyVolumes = listsHealthy
            driver.set(health: [], ofVolume: "w")
            driver.set(health: [.init(status: 3, reason: "R", message: "m")], ofVolume: "v")
            let response = try await client.call("Controller/ControllerListVolumeHealth")
            #expect(response == (listsHealthy ? [0x0A, 3, 0x0A, 1, 0x77] : []) + [0x0A, 13] + Self.unhealthy)
        }
    }

    /// Only unhealthy volumes count for the page size, however many others are between them.
    @Test func `the list has pages`() async throws {
        try await withRawClient(.health) { driver, client in
            for id in ["a", "b", "c", "d", "e", "f"] {
                driver.set(health: ["a", "c", "e"].contains(id) ? [.init(status: 1, reason: "R")] : [], ofVolume: id)
            }
            func entry(_ id: UInt8) -> [UInt8] { [0x0A, 10, 0x0A, 1, id, 0x12, 5, 0x08, 1, 0x12, 1, 0x52] }
            let first = try await client.call("Controller/ControllerListVolumeHealth", [0x08, 2])
            #expect(first == entry(0x61) + entry(0x63) + [0x12] + counted("4"))
            let second = try await client.call("Controller/ControllerListVolumeHealth", [0x08, 2, 0x12] + counted("4"))
            #expect(second == entry(0x65), "no token when only healthy volumes are left")
            let code = await client.code("Controller/ControllerListVolumeHealth", [0x12] + counted("x"))
            #expect(code == .aborted)
        }
    }

    @Test func `the journal has the secrets`() async throws {
        try await withRawClient(.health) { driver, client in
            // max_entries=1: 5, starting_token=2 "0", secrets=3 { "k": "s" }
            let request: [UInt8] = [0x08, 5, 0x12, 1, 0x30, 0x1A, 6, 0x0A, 1, 0x6B, 0x12, 1, 0x73]
            _ = try await client.call("Controller/ControllerListVolumeHealth", request)
            let call = driver.journal.calls("ControllerListVolumeHealth").first
            #expect(call?.maxEntries == 5)
            #expect(call?.startingToken == "0")
            #expect(call?.secrets == ["k": "s"])

            // volume_id=1 "v", secrets=2 { "k": "s" }, { "": "" }
            let single: [UInt8] = [0x0A, 1, 0x76, 0x12, 6, 0x0A, 1, 0x6B, 0x12, 1, 0x73, 0x12, 0]
            _ = await client.code("Controller/ControllerGetVolumeHealth", single)
            #expect(driver.journal.calls("ControllerGetVolumeHealth").first?.secrets == ["k": "s", "": ""])
        }
    }

    // MARK: Faults

    @Test func `a test chooses the response`() async throws {
        try await withRawClient(.health) { driver, client in
            driver.set(health: [], ofVolume: "v")
            let unhealthy = SimulatedVolume(id: "w", health: [.init(status: 9, reason: "R")])
            let entry: [UInt8] = [0x0A, 10, 0x0A, 1, 0x77, 0x12, 5, 0x08, 9, 0x12, 1, 0x52]
            let abnormal = SimulatedVolume(id: "w", capacity: 0, condition: .abnormal(""))
            let condition: [UInt8] = [0x0A, 3, 0x12, 1, 0x77, 0x12, 4, 0x12, 2, 0x08, 1]
            let responses: [(method: String, response: SimulatedResponse, bytes: [UInt8])] = [
                ("ControllerGetVolumeHealth", .volumeHealth(nil), []),
                ("ControllerGetVolumeHealth", .volumeHealth(unhealthy), entry),
                (
                    "ControllerListVolumeHealth", .volumeHealth([unhealthy, unhealthy], nextToken: "t"),
                    entry + entry + [0x12] + counted("t")
                ),
                ("ControllerGetVolume", .volume(abnormal), condition),
                ("ListVolumes", .volumes([abnormal]), [0x0A, 11] + condition),
            ]
            for (method, response, bytes) in responses {
                driver.intercept { _ in response }
                let received = try await client.call("Controller/\(method)")
                #expect(received == bytes)
            }
        }
    }

    /// A driver is replaced by one of the other generation while a client is connected.
    @Test func `capabilities can change while the driver runs`() async throws {
        try await withRawClient(.legacy) { driver, client in
            let legacy = try await client.call("Controller/ControllerGetCapabilities")
            #expect(legacy == [3, 11, 12].flatMap { [0x0A, 4, 0x0A, 2, 0x08, $0] })
            driver.configuration = .health
            let health = try await client.call("Controller/ControllerGetCapabilities")
            #expect(health == [16, 17].flatMap { [0x0A, 4, 0x0A, 2, 0x08, $0] })
        }
    }

    // MARK: Marker files

    static let markers: [(String, [UInt8])] = [
        (#"{"status": "DATA_LOSS", "reason": "R", "message": "m"}"#, [0x12, 8, 0x08, 3, 0x12, 1, 0x52, 0x1A, 1, 0x6D]),
        (
            #"[{"status": "Inaccessible", "reason": "R"}, {"status": "?"}]"#,
            [0x12, 5, 8, 2, 0x12, 1, 0x52, 0x12, 2, 8, 1]
        ),
        ("[]", []),
        ("", []),
        ("no JSON", []),
    ]

    @Test(arguments: markers)
    func `a marker file determines the health`(text: String, health: [UInt8]) async throws {
        let directory = try Self.temporaryDirectory()
        defer { try? FileManager.default.removeItem(at: directory) }
        try Data(text.utf8).write(to: directory.appending(path: "v.health"))
        try await withRawClient(.health) { driver, client in
            driver.volumes = [SimulatedVolume(id: "v", backingDirectory: directory.appending(path: "v").path)]
            let response = try await client.call("Controller/ControllerGetVolumeHealth", [0x0A, 1, 0x76])
            #expect(response == [0x0A, UInt8(3 + health.count), 0x0A, 1, 0x76] + health)
        }
    }

    @Test func `the controller's marker has precedence`() async throws {
        let directory = try Self.temporaryDirectory()
        defer { try? FileManager.default.removeItem(at: directory) }
        let volume = SimulatedVolume(
            id: "v",
            health: [.init(status: 1, reason: "R")],
            backingDirectory: directory.appending(path: "v").path
        )
        try await withRawClient(.health) { driver, client in
            driver.volumes = [volume]
            var statuses: [UInt8?] = []
            for (file, marker) in [("", ""), ("v.health", "INACCESSIBLE"), ("v.controller.health", "DATA_LOSS")] {
                if !file.isEmpty {
                    try Data(#"{"status": "\#(marker)", "reason": "R"}"#.utf8).write(
                        to: directory.appending(path: file)
                    )
                }
                let response = try await client.call("Controller/ControllerGetVolumeHealth", [0x0A, 1, 0x76])
                statuses.append(response.dropFirst(8).first)
            }
            #expect(statuses == [1, 2, 3])
        }
    }

    private static func temporaryDirectory() throws -> URL {
        let directory = FileManager.default.temporaryDirectory.appending(path: "kit-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        return directory
    }
}
