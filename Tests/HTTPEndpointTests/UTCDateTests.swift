// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Foundation
import HealthMonitorTestKit
import Testing

@testable import HTTPEndpoint

@Suite struct UTCDateTests {
    @Test(arguments: [
        (1_713_605_993.9, "2024-04-20T09:39:53Z", "Sat Apr 20 09:39:53 UTC 2024"),
        (0, "1970-01-01T00:00:00Z", "Thu Jan  1 00:00:00 UTC 1970"),
        (951_782_400, "2000-02-29T00:00:00Z", "Tue Feb 29 00:00:00 UTC 2000"),
        (1_798_761_599, "2026-12-31T23:59:59Z", "Thu Dec 31 23:59:59 UTC 2026"),
    ])
    func `a date is shown as in RFC 3339 and as Go's UnixDate`(seconds: Double, rfc3339: String, unixDate: String) {
        let date = UTCDate(secondsSince1970: seconds)
        #expect(date.rfc3339 == rfc3339)
        #expect(date.unixDate == unixDate)
    }

    @Test(arguments: 0..<4) func `any date is that of Foundation`(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        for _ in 0..<200 {
            let seconds = Int.random(in: 0..<4_102_444_800, using: &generator)
            let expected = Date(timeIntervalSince1970: Double(seconds)).formatted(.iso8601)
            #expect(UTCDate(secondsSince1970: Double(seconds)).rfc3339 == expected)
        }
    }
}
