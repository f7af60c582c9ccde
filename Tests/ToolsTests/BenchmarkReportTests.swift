// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Foundation
import Testing

@testable import tools

@Suite struct BenchmarkReportTests {
    static let machine = Machine(
        processor: "Z80",
        cores: 1,
        memoryBytes: 1 << 30,
        system: "CP/M",
        kernel: "2.2",
        versions: ["swift": "6.3.1", "libc6": "2.36"]
    )

    static func report(_ results: [(binary: String, runs: [[Figure]])]) -> BenchmarkReport {
        BenchmarkReport(scenario: "memory", arguments: ["memory"], machine: machine, runs: 3, results: results)
    }

    @Test func `the table has medians, spreads and targets`() {
        let report = Self.report([
            (
                "ours",
                [30e6, 50e6, 39e6].map {
                    [Figure("peak", $0, .bytes, target: 40e6), Figure("reported twice", 0, .count, target: 0)]
                }
            ),
            ("theirs", [404e6, 404e6, 404e6].map { [Figure("peak", $0, .bytes, target: 40e6)] }),
        ])
        #expect(
            report.markdown == """
                | memory, runs: 3 | ours | theirs | Target |  |
                | --- | --- | --- | --- | --- |
                | peak | 39.0 MB (30.0 MB – 50.0 MB) | 404 MB | ≤ 40.0 MB | met |
                | reported twice | 0 |  | ≤ 0 | met |
                """
        )
    }

    @Test func `a missed target is marked, and without a target there is no verdict`() {
        let report = Self.report([("ours", [[Figure("a", 2, .ratio, target: 1.5), Figure("b", 2, .ratio)]])])
        #expect(report.rows.map(report.isMet) == [false, nil])
    }

    @Test func `a target may be a lower bound`() {
        let report = Self.report([
            ("ours", [[Figure("a", 0.9, .ratio, least: 0.9), Figure("b", 0.8, .perSecond, least: 0.9)]])
        ])
        #expect(report.rows.map(report.isMet) == [true, false])
        #expect(report.markdown.hasSuffix("| b | 0.80 /s | ≥ 0.90 /s | missed |"))
    }

    @Test func `a figure of the other binary only has no verdict`() throws {
        let report = Self.report([("ours", [[]]), ("theirs", [[Figure("a", 1, .count, target: 0)]])])
        let row = try #require(report.rows.first)
        #expect(row.cells.map(\.binary) == ["theirs"])
        #expect(report.isMet(row) == nil)
    }

    @Test func `the JSON has every value`() throws {
        let report = Self.report([("ours", [3.0, 1, 2].map { [Figure("a", $0, .seconds, target: 5)] })])
        let read = try JSONDecoder().decode(BenchmarkReport.self, from: try report.json())
        let cell = try #require(read.rows.first?.cells.first)
        #expect(cell.values == [3, 1, 2])
        #expect((cell.median, cell.minimum, cell.maximum) == (2, 1, 3))
        #expect(read.machine == Self.machine)
        #expect(read.rows.first?.target == .init(bound: .most, value: 5))
    }
}
