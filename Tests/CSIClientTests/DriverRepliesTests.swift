// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Testing

@testable import CSIClient

/// Errors stay short, however long the driver's texts are.
@Suite struct DriverRepliesTests {
    private let long = String(repeating: "ü", count: 1_000_000)

    @Test func `a reply for a volume with a long id has a short error`() throws {
        let reply = Wire.message(1, Wire.text(1, long))
        let error = #expect(throws: CSIError.self) { try DriverVolumeHealth(reply: reply, requestedID: "a") }
        #expect(error?.code == .invalidResponse)
        let deviation = try DriverVolume.decode(reply: Wire.message(1, Wire.text(2, long)), requestedID: "a").deviation
        #expect((deviation?.example.utf8.count ?? .max) < 2000)
        #expect(error?.message.hasPrefix("requested volume \"a\", the response is for \"üüü") == true)
        #expect((error?.message.utf8.count ?? .max) < 2000)
    }

    @Test func `a long repeated token has a short error`() async throws {
        let pages = DriverPages<DriverVolume>(method: "m") { [long] _ throws(CSIError) in
            try DriverPage(Wire.text(2, long), method: "m")
        } items: {
            $0.items
        }
        let error = await #expect(throws: CSIError.self) {
            for try await _ in pages {}
        }
        #expect(error?.code == .invalidResponse)
        #expect((error?.message.utf8.count ?? .max) < 2000)
    }
}
