// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import CSISpec
import HealthMonitorTestKit
import SwiftProtobuf
import Testing

@testable import CSIClient

@Suite struct ReplyPartsTests {
    private func parts(_ bytes: [UInt8]) -> [[UInt8]] {
        var parts = ReplyParts(bytes)
        return Array(sequence(state: ()) { _ in parts.next() })
    }

    @Test(arguments: 0..<20)
    func thePartsAreMessagesAndTheWholeIsAllOfThem(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        var bytes: [UInt8] = []
        for number in 0..<Int.random(in: 0...5000, using: &random) {
            let text = String(repeating: "x", count: Int.random(in: 0...40, using: &random))
            switch Int.random(in: 0..<20, using: &random) {
            case 0: bytes += Wire.text(2, "\(number)")
            case 1: bytes += Wire.integer(3, number)
            case 2: bytes += [9 << 3 | 5, 1, 2, 3, 4, 9 << 3 | 1, 1, 2, 3, 4, 5, 6, 7, 8]
            // A group with a field and a group in it.
            case 3: bytes += [9 << 3 | 3] + Wire.text(1, text) + [8 << 3 | 3, 8 << 3 | 4, 9 << 3 | 4]
            default: bytes += Wire.message(1, Wire.message(1, Wire.text(2, text)))
            }
        }
        let parts = parts(bytes)
        #expect(parts.flatMap(\.self) == bytes)
        var merged = CSIListVolumesResponse()
        for part in parts {
            let message = try CSIListVolumesResponse(serializedBytes: part)
            #expect(message.entries.count <= ReplyParts.maximumFields)
            try merged.merge(serializedBytes: part)
        }
        #expect(try merged == CSIListVolumesResponse(serializedBytes: bytes))
    }

    @Test func longEntriesMakeShortParts() {
        let entry = Wire.text(1, String(repeating: "x", count: 100_000))
        let long = Wire.text(1, String(repeating: "x", count: 1_000_000))
        let parts = parts(entry + entry + entry + long + entry)
        #expect(parts.map(\.count) == [2 * entry.count, entry.count, long.count, entry.count])
    }

    @Test func anEmptyMessageIsOne() {
        #expect(parts([]) == [[]])
    }

    @Test(arguments: [[0x0A, 5, 1], [0xFF, 0xFF], [0x0C], [0x0F, 1], [0x0B], [0x08, 0x80]] as [[UInt8]])
    func whatIsNoFieldIsLeftToTheDecoder(bytes: [UInt8]) {
        let field = Wire.text(2, "a")
        #expect(parts(field + bytes) == [field + bytes])
        #expect(throws: CSIError.self) { try CSIListVolumesResponse(reply: field + bytes, method: "m") }
    }

    @Test func oneVolumeThatIsWrongInTooManyWaysIsRefused() throws {
        let status = Wire.message(2, Wire.integer(1, 1), Wire.text(2, "RebuildInProgress"))
        func reply(_ statuses: Int) -> [UInt8] {
            Wire.message(1, Wire.text(1, "a"), (0..<statuses).flatMap { _ in status })
        }
        let method = CSIMethodName.controllerListVolumeHealth
        // With the volume's id, as many as may be.
        let many = try CSIControllerListVolumeHealthResponse(reply: reply(9999), method: method)
        #expect(many.entries.first?.healthStatuses.count == 9999)
        let error = #expect(throws: CSIError.self) {
            try CSIControllerListVolumeHealthResponse(reply: reply(20_000), method: method)
        }
        #expect(error?.code == .invalidResponse)
        #expect(error?.message.contains("10000 things of one volume") == true)
        // Much text is not much to say.
        let long = Wire.message(
            1,
            Wire.text(1, "a"),
            Wire.message(2, Wire.text(3, String(repeating: "x", count: 500_000)))
        )
        #expect(try CSIControllerListVolumeHealthResponse(reply: long, method: method).entries.count == 1)
    }
}
