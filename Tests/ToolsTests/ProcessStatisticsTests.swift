// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Foundation
import Testing

@testable import tools

@Suite struct ProcessStatisticsTests {
    @Test func `memory is read in bytes`() throws {
        let status = """
            Name:\tcsi-health-moni
            VmPeak:\t 4123 kB
            VmHWM:\t    2048 kB
            VmRSS:\t    1000 kB
            RssAnon:\t     512 kB
            RssFile:\t     488 kB
            Threads:\t14
            """
        let memory = try ProcessMemory(parsing: status)
        #expect((memory.resident, memory.peakResident, memory.anonymous) == (1_024_000, 2_097_152, 524_288))
    }

    @Test func `a process that has ended has no memory`() {
        #expect(throws: ProcessStatisticsError.self) {
            try ProcessMemory(parsing: "Name:\tx\nState:\tZ (zombie)\nThreads:\t1\n")
        }
    }

    @Test(arguments: ["csi-monitor", "a b) S 9 9 (", ""])
    func `CPU time is user and system time`(name: String) throws {
        let stat = "4711 (\(name)) S 1 4711 4711 0 -1 4194560 1 2 3 4 250 130 77 88 20 0 14 0 5 6 7"
        #expect(try ProcessTime(parsing: stat, ticksPerSecond: 100).seconds == 3.8)
    }

    @Test(arguments: ["", "1 (x) S 1 2", "1 (x) Z 1 1 1 0 -1 0 1 2 3 4 250 130 77 88"])
    func `without a process there is no CPU time`(stat: String) {
        #expect(throws: ProcessStatisticsError.self) { try ProcessTime(parsing: stat, ticksPerSecond: 100) }
    }

    @Test func `this process has both`() throws {
        let process = ProcessInfo.processInfo.processIdentifier
        #expect(try ProcessMemory(of: process).peakResident >= 1_000_000)
        #expect(try ProcessTime(of: process).seconds >= 0)
    }
}
