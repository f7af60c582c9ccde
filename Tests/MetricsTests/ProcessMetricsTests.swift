// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Foundation
import Testing

@testable import Metrics

@Suite struct ProcessMetricsTests {
    private let stat =
        "42 (a) b (c) S 1 42 42 0 -1 4194560 100 0 0 0 150 50 0 0 20 0 4 0 12345 1000000 200 18446744073709551615\n"

    private func limits(_ soft: String) -> String {
        """
        Limit                     Soft Limit           Hard Limit           Units
        Max open files            \(soft)                 524288               files
        Max locked memory         8388608              8388608              bytes

        """
    }

    private func names(_ metrics: ProcessMetrics) -> [String] { metrics.metrics.map(\.description.name) }

    @Test func `times are in seconds and sizes in bytes`() {
        let metrics = ProcessMetrics(
            stat: stat,
            limits: limits("1024"),
            openFiles: 12,
            ticksPerSecond: 100,
            pageSize: 4096
        )
        #expect(metrics.cpuSeconds == 2)
        #expect(metrics.virtualBytes == 1_000_000)
        #expect(metrics.residentBytes == 819_200)
        #expect(metrics.openFiles == 12)
        #expect(metrics.maximumOpenFiles == 1024)
        #expect(
            names(metrics) == [
                "process_cpu_seconds_total", "process_resident_memory_bytes", "process_virtual_memory_bytes",
                "process_open_fds", "process_max_fds",
            ]
        )
    }

    @Test func `an unlimited number of files is the largest 64-bit number`() {
        let metrics = ProcessMetrics(
            stat: nil,
            limits: limits("unlimited"),
            openFiles: nil,
            ticksPerSecond: 100,
            pageSize: 4096
        )
        #expect(metrics.maximumOpenFiles == Double(UInt64.max))
    }

    @Test(arguments: [nil, "", "42 (x) S 1 2", "42 (x"])
    func `values that cannot be read are absent`(stat: String?) {
        let metrics = ProcessMetrics(stat: stat, limits: "", openFiles: nil, ticksPerSecond: 100, pageSize: 4096)
        #expect(names(metrics).isEmpty)
    }

    @Test func `open files are counted`() throws {
        var (counted, after) = (0, 0)
        // Other tests open and close files at the same time.
        for _ in 0..<1000 where counted <= 50 {
            let before = try #require(ProcessMetrics.ofThisProcess().openFiles)
            let files = try (0..<100).map { _ in try #require(FileHandle(forReadingAtPath: "/dev/null")) }
            after = try #require(ProcessMetrics.ofThisProcess().openFiles)
            counted = after - before
            #expect(files.count == 100)
        }
        #expect(counted > 50)
        let metrics = ProcessMetrics.ofThisProcess()
        #expect(metrics.residentBytes.map { $0 > 1_048_576 } == true)
        #expect(metrics.cpuSeconds.map { $0 > 0 } == true)
        #expect(metrics.maximumOpenFiles.map { $0 >= Double(after) } == true)
    }
}
