// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import CSISpec
import HealthMonitorTestKit
import SwiftProtobuf
import Testing

@testable import CSIClient

@Suite struct DriverPageTests {
    private func parts<Item: DriverListItem>(_: Item.Type, _ bytes: [UInt8]) throws -> [DriverPage<Item>.Part] {
        var page = try DriverPage<Item>(bytes, method: "m")
        var parts: [DriverPage<Item>.Part] = []
        while let part = try page.next() { parts.append(part) }
        return parts
    }

    /// Against the generated decoder, with unknown fields of all wire types in between.
    @Test(arguments: 0..<20)
    func `the parts make up the whole page`(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        var bytes: [UInt8] = []
        for number in 0..<Int.random(in: 0...5000, using: &random) {
            let text = String(repeating: "x", count: Int.random(in: 0...40, using: &random))
            let condition = Wire.message(2, Wire.integer(1, number % 2), Wire.text(2, text))
            switch Int.random(in: 0..<20, using: &random) {
            case 0: bytes += Wire.text(2, "\(number)")
            case 1: bytes += Wire.integer(3, number)
            case 2: bytes += [9 << 3 | 5, 1, 2, 3, 4, 9 << 3 | 1, 1, 2, 3, 4, 5, 6, 7, 8]
            // A group with a field and a group in it.
            case 3: bytes += [9 << 3 | 3] + Wire.text(1, text) + [8 << 3 | 3, 8 << 3 | 4, 9 << 3 | 4]
            // Fields of the wrong wire type, and messages in two pieces.
            case 4: bytes += Wire.message(1, Wire.message(1, Wire.integer(2, 7)), Wire.integer(2, 7))
            case 5:
                let volume = Wire.message(1, Wire.text(2, "\(number)"))
                bytes += Wire.message(1, Wire.message(2, condition), volume, Wire.message(2), volume)
            case 6: bytes += Wire.message(1, Wire.message(1, Wire.text(2, "\(number)")), Wire.message(2))
            default: bytes += Wire.message(1, Wire.message(1, Wire.text(2, text)), Wire.message(2, condition))
            }
        }
        let parts = try parts(DriverVolume.self, bytes)
        let whole = try CSIListVolumesResponse(serializedBytes: bytes)
        let volumes = whole.entries.map { entry in
            let condition = entry.status.volumeCondition
            return DriverVolume(
                id: entry.volume.volumeID,
                condition: entry.status.hasVolumeCondition
                    ? DriverVolume.Condition(isAbnormal: condition.abnormal, message: condition.message) : nil
            )
        }
        #expect(parts.flatMap(\.items) == volumes.filter { !$0.id.isEmpty })
        #expect(parts.map(\.entriesWithoutID).reduce(0, +) == volumes.count(where: \.id.isEmpty))
        #expect(parts.allSatisfy { $0.items.count + $0.entriesWithoutID <= DriverPage<DriverVolume>.maximumEntries })
        #expect(try DriverPage<DriverVolume>(bytes, method: "m").nextToken == whole.nextToken)
    }

    @Test func `long entries make short parts`() throws {
        func entry(_ length: Int) -> [UInt8] {
            Wire.message(1, Wire.text(1, "a"), Wire.message(2, Wire.text(3, String(repeating: "x", count: length))))
        }
        let bytes = entry(100_000) + entry(100_000) + entry(1_000_000) + entry(100_000)
        #expect(try parts(DriverVolumeHealth.self, bytes).map(\.items.count) == [2, 1, 1])
    }

    @Test func `an empty page is one part`() throws {
        #expect(try parts(DriverVolume.self, []).map(\.items) == [[]])
    }

    @Test(
        arguments: [[0x0A, 5, 1], [0xFF, 0xFF], [0x0C], [0x0F, 1], [0x0B], [0x08, 0x80], [0x08, 1]] as [[UInt8]]
    )
    func `a malformed page is an error`(bytes: [UInt8]) {
        let entry = Wire.message(1, Wire.message(1, Wire.text(2, "a")))
        let error = #expect(throws: CSIError.self) { try parts(DriverVolume.self, entry + bytes) }
        #expect(error?.code == .invalidResponse)
    }

    @Test func `a volume with too many entries is an error`() throws {
        let status = Wire.message(2, Wire.integer(1, 1), Wire.text(2, "RebuildInProgress"))
        func page(_ statuses: Int) -> [UInt8] {
            Wire.message(1, Wire.text(1, "a"), (0..<statuses).flatMap { _ in status })
        }
        let many = try parts(DriverVolumeHealth.self, page(10_000))
        #expect(many.first?.items.first?.entries.count == 10_000)
        let error = #expect(throws: CSIError.self) { try parts(DriverVolumeHealth.self, page(10_001)) }
        #expect(error?.code == .invalidResponse)
        #expect(error?.message.contains("10000 health entries for one volume") == true)
    }
}
