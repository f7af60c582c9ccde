// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Testing

@testable import HealthMonitorTestKit

@Suite struct TimestampTests {
    @Test(arguments: [
        ("1970-01-01T00:00:00Z", 0), ("2026-01-02T15:04:05Z", 1_767_366_245), ("2000-02-29T23:59:59Z", 951_868_799),
        ("1969-12-31T23:59:59Z", -1), ("2100-03-01T00:00:00Z", 4_107_542_400),
    ])
    func `seconds and text are equivalent`(text: String, seconds: Int) {
        #expect(Timestamp(text)?.seconds == Int64(seconds))
        #expect(Timestamp(seconds: Int64(seconds)).text == text)
    }

    @Test func `offsets and decimals are parsed`() {
        #expect(Timestamp("2026-01-02T17:04:05.123456+02:00")?.text == "2026-01-02T15:04:05Z")
        #expect(Timestamp("2026-01-02T17:04:05.123456789+02:00")?.microsecondText == "2026-01-02T15:04:05.123456Z")
        #expect(Timestamp("2026-01-02T15:04:05.5Z")?.nanoseconds == 500_000_000)
    }

    @Test(arguments: ["", "2026-01-02", "2026-13-02T15:04:05Z", "2026-01-02T15:04:05", "2026-01-02T15:04:05.Z", "now"])
    func `anything else is refused`(text: String) {
        #expect(Timestamp(text) == nil)
    }
}
