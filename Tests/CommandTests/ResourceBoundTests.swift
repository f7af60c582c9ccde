// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Foundation
import HealthMonitorTestKit
import Testing

/// The memory that a driver's responses may cost (docs/reliability.md).
@Suite(.serialized, .timeLimit(.minutes(50))) struct ResourceBoundTests {
    enum Response: CaseIterable {
        /// A page of a million volumes without a PersistentVolume.
        case aMillionUnusedVolumes
        /// Many unhealthy volumes, in CSI 1.13.
        case manyUnusedHealths
        /// Messages of 1 MB.
        case longMessages
        /// A last volume with a million conditions, which makes the response invalid.
        case aMillionConditions

        var isLegacy: Bool { self == .aMillionUnusedVolumes || self == .longMessages }

        /// The page. In its middle, the volume that has a PersistentVolume is unhealthy.
        func page(of volume: VolumeFixture) -> [UInt8] {
            switch self {
            case .aMillionUnusedVolumes:
                // entries=1 { volume=1 { volume_id=2 } }
                let unused = repeated(
                    message(1, message(1, message(2, "volume that no PersistentVolume has"))),
                    500_000
                )
                return unused + legacy(volume.handle, "broken") + unused
            case .manyUnusedHealths:
                // entries=1 { volume_id=1, health_statuses=2 }
                let unused = repeated(message(1, message(1, "unused"), condition("Broken")), 100_000)
                return unused + message(1, message(1, volume.handle), condition("Broken")) + unused
            case .longMessages:
                let long = String(repeating: "x", count: 1_000_000)
                return repeated(legacy("unused", long), 30) + legacy(volume.handle, long)
            case .aMillionConditions:
                let conditions = (0..<10_000).flatMap { condition("\($0)") }
                return message(1, message(1, volume.handle), condition("Broken"))
                    + message(1, message(1, "unused"), repeated(conditions, 100))
            }
        }

        private func repeated(_ bytes: [UInt8], _ count: Int) -> [UInt8] {
            var all: [UInt8] = []
            all.reserveCapacity(bytes.count * count)
            for _ in 0..<count { all += bytes }
            return all
        }

        /// entries=1 { volume=1 { volume_id=2 }, status=2 { volume_condition=2 { abnormal=1, message=2 } } }
        private func legacy(_ handle: String, _ text: String) -> [UInt8] {
            message(1, message(1, message(2, handle)), message(2, message(2, [0x08, 1], message(2, text))))
        }

        /// health_statuses=2 { status=1 INACCESSIBLE, reason=2 }
        private func condition(_ reason: String) -> [UInt8] {
            message(2, [0x08, 2], message(2, reason))
        }

        private func message(_ field: UInt8, _ text: String) -> [UInt8] { message(field, Array(text.utf8)) }

        private func message(_ field: UInt8, _ fields: [UInt8]...) -> [UInt8] {
            var length = fields.reduce(0) { $0 + $1.count }
            var bytes = [field << 3 | 2]
            while length >= 0x80 {
                bytes.append(UInt8(length & 0x7F) | 0x80)
                length >>= 7
            }
            bytes.append(UInt8(length))
            for field in fields { bytes += field }
            return bytes
        }
    }

    /// Twice the response, of which gRPC has a copy, and one decoded part of it.
    private static func bound(_ response: [UInt8]) -> Int { 2 * response.count + 32 << 20 }

    @Test(arguments: Response.allCases)
    func `a response of any size is read in bounded memory`(response: Response) async throws {
        let directory = FileManager.default.temporaryDirectory.appending(path: "rb-\(UUID().uuidString.prefix(8))").path
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let volume = VolumeFixture(number: 0)
        let page = response.page(of: volume)
        let method = response.isLegacy ? "ListVolumes" : "ControllerListVolumeHealth"
        try await SimulatedAPIServer.withServer { server in
            try volume.create(in: server)
            try server.writeKubeconfig(to: "\(directory)/kubeconfig")
            let driver = SimulatedDriver(
                socket: "\(directory)/csi.sock",
                configuration: response.isLegacy ? .legacy : .health
            )
            driver.volumes = [SimulatedVolume(id: volume.handle)]
            try driver.start()
            let (before, after) = try await Tool.run(
                programPath(),
                [
                    "--csi-address=\(directory)/csi.sock", "--kubeconfig=\(directory)/kubeconfig",
                    "--list-volumes-interval=10ms", "--unhealthy-interval=1h", "--timeout=1h",
                ]
            ) { processID in
                await driver.journal.wait(for: method, count: 20)
                let before = try Self.peakResident(processID)
                driver.intercept { call in call.method.hasSuffix(method) ? .reply(page) : nil }
                // When the last of them is requested, the first one has been read.
                await driver.journal.wait(for: method, count: driver.journal.calls(method).count + 2)
                _ = await server.journal.first { $0.request.resource == "events" && $0.code == 201 }
                return (before, try Self.peakResident(processID))
            }.result
            await driver.stop()
            print("\(response): \(page.count) bytes; peak resident \(before) before, \(after) after")
            #expect(after - before <= Self.bound(page))
            let events = try server.objects(kind: "Event")
            #expect(events.map { $0["involvedObject"]?["name"] } == [.string(volume.claimName)])
        }
    }

    /// In bytes.
    private static func peakResident(_ processID: Int32) throws -> Int {
        let status = try String(contentsOfFile: "/proc/\(processID)/status", encoding: .utf8)
        let line = try #require(status.split(separator: "\n").first { $0.hasPrefix("VmHWM:") })
        return try #require(Int(line.filter(\.isNumber))) * 1024
    }
}
