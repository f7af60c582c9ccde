// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Foundation
import Testing

@testable import Metrics

@Suite struct ProcessStartTimeTests {
    private let systemStat = "cpu  1 2 3\nintr 4 5\nctxt 6\nbtime 1713600000\nprocesses 7\n"

    private func processStat(name: String) -> String {
        "42 (\(name)) S 1 42 42 0 -1 4194560 100 0 0 0 5 6 0 0 20 0 4 0 12345 1000000 200 18446744073709551615\n"
    }

    @Test(arguments: ["csi-health-mon", "a) b (c", "1 2 3", ""])
    func `the start time is the boot time plus the ticks`(name: String) {
        let start = ProcessStartTime.parse(
            processStat: processStat(name: name),
            systemStat: systemStat,
            ticksPerSecond: 100
        )
        #expect(start == 1_713_600_123.45)
    }

    @Test(arguments: [
        ("", "btime 1\n", 100), ("42 (x) S 1 2", "btime 1\n", 100), ("42 (x", "btime 1\n", 100),
    ])
    func `the start time is nil if /proc/PID/stat is malformed`(process: String, system: String, ticks: Int) {
        #expect(ProcessStartTime.parse(processStat: process, systemStat: system, ticksPerSecond: ticks) == nil)
    }

    @Test func `the start time is nil without a boot time or a tick rate`() {
        let stat = processStat(name: "x")
        #expect(ProcessStartTime.parse(processStat: stat, systemStat: "cpu 1\n", ticksPerSecond: 100) == nil)
        #expect(ProcessStartTime.parse(processStat: stat, systemStat: systemStat, ticksPerSecond: 0) == nil)
    }

    @Test func `this process started after the host booted and before now`() throws {
        let start = try #require(ProcessStartTime.ofThisProcess())
        let uptime = try String(contentsOfFile: "/proc/uptime", encoding: .utf8).split(separator: " ")[0]
        let now = Date().timeIntervalSince1970
        // btime has whole seconds.
        #expect(start > now - (try #require(Double(uptime))) - 2)
        #expect(start <= now + 1)
    }
}
