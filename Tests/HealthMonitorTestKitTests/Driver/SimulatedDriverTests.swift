// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Foundation
import GRPCTransport
import HealthMonitorTestKit
import Testing

/// Against bytes written by hand from csi.proto: a tag is the field's number times 8, plus 2 for length-delimited
/// fields.
@Suite(.timeLimit(.minutes(50))) struct SimulatedDriverTests {
    @Test func `GetPluginInfo returns name and version`() async throws {
        try await withRawClient(.init(name: "a.example", vendorVersion: "v2")) { _, client in
            let response = try await client.call("Identity/GetPluginInfo")
            #expect(response == [0x0A] + counted("a.example") + [0x12] + counted("v2"))
        }
    }

    @Test func `Probe returns ready`() async throws {
        try await withRawClient { _, client in
            let response = try await client.call("Identity/Probe")
            #expect(response == [0x0A, 2, 0x08, 1])
        }
    }

    @Test func `capabilities are returned`() async throws {
        try await withRawClient(.init(controllerCapabilities: [3, 11, 12])) { _, client in
            #expect(try await client.call("Identity/GetPluginCapabilities") == [0x0A, 4, 0x0A, 2, 0x08, 1])
            let response = try await client.call("Controller/ControllerGetCapabilities")
            #expect(response == [3, 11, 12].flatMap { [0x0A, 4, 0x0A, 2, 0x08, $0] })
        }
    }

    @Test func `without a controller service, controller methods are unimplemented`() async throws {
        try await withRawClient(.init(controllerCapabilities: nil)) { _, client in
            let response = try await client.call("Identity/GetPluginCapabilities")
            #expect(response == [])
            #expect(await client.code("Controller/ControllerGetCapabilities") == .unimplemented)
            #expect(await client.code("Controller/ListVolumes") == .unimplemented)
        }
    }

    @Test(arguments: ["Controller/CreateVolume", "Node/NodeGetVolumeStats", "Nobody/Nothing"])
    func `other methods are unimplemented`(method: String) async throws {
        try await withRawClient { _, client in
            #expect(await client.code(method) == .unimplemented)
        }
    }

    // MARK: Volumes

    static let conditions: [(SimulatedVolume.Condition?, [UInt8])] = [
        (nil, []),
        (.healthy, [0x12, 2, 0x12, 0]),
        (.init(isAbnormal: false, message: "fine"), [0x12, 8, 0x12, 6, 0x12] + counted("fine")),
        (.abnormal(""), [0x12, 4, 0x12, 2, 0x08, 1]),
        (.abnormal("gone"), [0x12, 10, 0x12, 8, 0x08, 1, 0x12] + counted("gone")),
    ]

    @Test(arguments: conditions)
    func `a volume is listed with its condition`(condition: SimulatedVolume.Condition?, status: [UInt8]) async throws {
        try await withRawClient { driver, client in
            driver.volumes = [SimulatedVolume(id: "a", capacity: 300, condition: condition)]
            // volume=1 { capacity_bytes=1 300, volume_id=2 "a" }
            let entry: [UInt8] = [0x0A, 6, 0x08, 0xAC, 2, 0x12, 1, 0x61] + status
            let list = try await client.call("Controller/ListVolumes")
            #expect(list == [0x0A, UInt8(entry.count)] + entry)
            let volume = try await client.call("Controller/ControllerGetVolume", [0x0A] + counted("a"))
            #expect(volume == entry)
        }
    }

    @Test func `a volume is listed with its nodes`() async throws {
        try await withRawClient { driver, client in
            driver.volumes = [
                SimulatedVolume(id: "a", capacity: 0, publishedNodes: ["n1", "n2"], condition: .abnormal("x")),
                SimulatedVolume(id: "b", capacity: 0, publishedNodes: ["n1"], condition: nil),
            ]
            let nodes: [UInt8] = [0x0A] + counted("n1") + [0x0A] + counted("n2")
            let first = try await client.call("Controller/ControllerGetVolume", [0x0A] + counted("a"))
            #expect(first == [0x0A, 3, 0x12, 1, 0x61, 0x12, 15] + nodes + [0x12, 5, 0x08, 1, 0x12, 1, 0x78])
            let second = try await client.call("Controller/ControllerGetVolume", [0x0A] + counted("b"))
            #expect(second == [0x0A, 3, 0x12, 1, 0x62, 0x12, 4, 0x0A] + counted("n1"))
        }
    }

    @Test func `an unknown volume is NOT_FOUND`() async throws {
        try await withRawClient { _, client in
            #expect(await client.code("Controller/ControllerGetVolume", [0x0A] + counted("a")) == .notFound)
        }
    }

    /// As in csi-driver-host-path.
    @Test func `an unknown volume can be abnormal`() async throws {
        try await withRawClient { driver, client in
            driver.configuration.reportsUnknownVolumesAbnormal = true
            let text = "rpc error: code = NotFound desc = volume id a does not exist in the volumes list"
            let condition: [UInt8] = [0x08, 1, 0x12] + counted(text)
            let status: [UInt8] = [0x12, UInt8(condition.count)] + condition
            let response = try await client.call("Controller/ControllerGetVolume", [0x0A] + counted("a"))
            #expect(response == [0x0A, 3, 0x12, 1, 0x61, 0x12, UInt8(status.count)] + status)
        }
    }

    @Test func `one of many volumes is found and changed by its id`() async throws {
        try await withRawClient { driver, client in
            driver.volumes = (0..<100_000).map { SimulatedVolume(id: "v\($0)", capacity: 0, condition: nil) }
            driver.set(.healthy, ofVolume: "v99999")
            let response = try await client.call("Controller/ControllerGetVolume", [0x0A] + counted("v99999"))
            #expect(response == [0x0A, 8, 0x12] + counted("v99999") + [0x12, 2, 0x12, 0])
            #expect(driver.volumes.count == 100_000)
        }
    }

    @Test func `of several volumes with the same id, the first is found and all are listed`() async throws {
        try await withRawClient { driver, client in
            driver.volumes = [.healthy, .abnormal("")].map { SimulatedVolume(id: "a", capacity: 0, condition: $0) }
            let volume = try await client.call("Controller/ControllerGetVolume", [0x0A] + counted("a"))
            #expect(volume == [0x0A, 3, 0x12, 1, 0x61, 0x12, 2, 0x12, 0])
            let list = try await client.call("Controller/ListVolumes")
            #expect(list == [0x0A, 9] + volume + [0x0A, 11, 0x0A, 3, 0x12, 1, 0x61, 0x12, 4, 0x12, 2, 0x08, 1])
        }
    }

    @Test func `a volume's condition can be set by its id`() async throws {
        try await withRawClient { driver, client in
            driver.set(.abnormal("x"), ofVolume: "a")
            driver.set(.healthy, ofVolume: "b")
            driver.set(nil, ofVolume: "a")
            #expect(driver.volumes.map(\.id) == ["a", "b"])
            #expect(driver.volumes.map(\.condition) == [nil, .healthy])
        }
    }

    @Test func `a missing backing directory is abnormal`() async throws {
        let directory = "/tmp/kit-\(UUID().uuidString.prefix(13))"
        try await withRawClient { driver, client in
            driver.volumes = [
                SimulatedVolume(
                    id: "a",
                    condition: .init(isAbnormal: false, message: "ok"),
                    backingDirectory: directory
                )
            ]
            let request: [UInt8] = [0x0A] + counted("a")
            let missing = Array("The source path of the volume doesn't exist".utf8)
            #expect(
                try await client.call("Controller/ControllerGetVolume", request).suffix(missing.count) == missing[...]
            )
            try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: false)
            defer { try? FileManager.default.removeItem(atPath: directory) }
            #expect(
                try await client.call("Controller/ControllerGetVolume", request).suffix(4) == [0x12, 2, 0x6F, 0x6B]
            )
            try FileManager.default.removeItem(atPath: directory)
            #expect(
                try await client.call("Controller/ControllerGetVolume", request).suffix(missing.count) == missing[...]
            )
        }
    }

    // MARK: Pages

    /// An entry of a volume with an id of one letter and nothing else.
    private func entry(_ letter: Character) -> [UInt8] {
        [0x0A, 5, 0x0A, 3, 0x12, 1, letter.asciiValue ?? 0]
    }

    private func volumes(_ letters: String) -> [SimulatedVolume] {
        letters.map { SimulatedVolume(id: String($0), capacity: 0, condition: nil) }
    }

    @Test func `max_entries bounds the pages of a list`() async throws {
        try await withRawClient { driver, client in
            driver.volumes = volumes("abc")
            let first = try await client.call("Controller/ListVolumes", [0x08, 2])
            #expect(first == entry("a") + entry("b") + [0x12] + counted("2"))
            let second = try await client.call("Controller/ListVolumes", [0x08, 2, 0x12] + counted("2"))
            #expect(second == entry("c"))
            #expect(try await client.call("Controller/ListVolumes", [0x08, 3]).count == 21, "no token after the last")
        }
    }

    @Test func `without max_entries, the driver's page size applies`() async throws {
        try await withRawClient(.init(pageSize: 1)) { driver, client in
            driver.volumes = volumes("ab")
            let first = try await client.call("Controller/ListVolumes")
            #expect(first == entry("a") + [0x12] + counted("1"))
            let second = try await client.call("Controller/ListVolumes", [0x12] + counted("1"))
            #expect(second == entry("b"))
        }
    }

    @Test(arguments: ["x", "-1", "4", "1.0"])
    func `an invalid token is ABORTED`(token: String) async throws {
        try await withRawClient { driver, client in
            driver.volumes = volumes("abc")
            #expect(await client.code("Controller/ListVolumes", [0x12] + counted(token)) == .aborted)
        }
    }
}
