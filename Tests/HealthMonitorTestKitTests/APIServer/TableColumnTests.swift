// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Testing

@testable import HealthMonitorTestKit

@Suite struct TableColumnTests {
    @Test(arguments: [
        (0, "0s"), (119, "119s"), (120, "2m"), (130, "2m10s"), (600, "10m"), (10_799, "179m"), (10_800, "3h"),
        (11_100, "3h5m"), (28_800, "8h"), (172_799, "47h"), (172_800, "2d"), (176_400, "2d1h"), (691_200, "8d"),
        (-5, "0s"),
    ])
    func `ages have kubectl's format`(seconds: Int, text: String) {
        let now = Timestamp(seconds: 1_767_366_245)
        let time = Timestamp(seconds: now.seconds - Int64(seconds)).text
        #expect(TableColumn.age(of: .string(time), now: now) == text)
    }

    @Test func `the age of a missing time is unknown`() {
        #expect(TableColumn.age(of: nil, now: Timestamp(seconds: 0)) == "<unknown>")
    }
}
