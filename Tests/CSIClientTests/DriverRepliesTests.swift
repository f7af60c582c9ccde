// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Testing

@testable import CSIClient

/// What a driver says wrong is reported in few words, however many it used.
@Suite struct DriverRepliesTests {
    private let long = String(repeating: "ü", count: 1_000_000)

    @Test func `a reply for a volume with a long id has a short error`() throws {
        let reply = Wire.message(1, Wire.text(1, long))
        let error = #expect(throws: CSIError.self) { try DriverVolumeHealth(reply: reply, askedFor: "a") }
        #expect(error?.code == .invalidResponse)
        let deviation = try DriverVolume.read(reply: Wire.message(1, Wire.text(2, long)), askedFor: "a").deviation
        #expect((deviation?.example.utf8.count ?? .max) < 2000)
        #expect(error?.message.hasPrefix("asked for volume \"a\", the driver answered for \"üüü") == true)
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
