// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Foundation

/// The results of a scenario: for each figure, a summary for each binary.
struct BenchmarkReport: Codable, Sendable {
    struct Row: Codable, Sendable {
        struct Cell: Codable, Sendable {
            let binary: String
            let values: [Double]
            let median: Double
            let minimum: Double
            let maximum: Double
        }

        let what: String
        let unit: Figure.Unit
        let target: Figure.Target?
        /// In the order of the report's binaries, without those that do not have the figure.
        fileprivate(set) var cells: [Cell]
    }

    let scenario: String
    /// Of this program.
    let arguments: [String]
    let machine: Machine
    let runs: Int
    /// Targets apply to the first.
    let binaries: [String]
    let rows: [Row]

    /// - Parameter results: for each binary, in order, the figures of its runs.
    init(
        scenario: String,
        arguments: [String],
        machine: Machine,
        runs: Int,
        results: [(binary: String, runs: [[Figure]])]
    ) {
        self.scenario = scenario
        self.arguments = arguments
        self.machine = machine
        self.runs = runs
        binaries = results.map(\.binary)
        var rows: [Row] = []
        for result in results {
            for figure in result.runs.first ?? [] {
                let values = result.runs.flatMap { $0.filter { $0.what == figure.what }.map(\.value) }
                guard let summary = Summary(values) else { continue }
                let cell = Row.Cell(
                    binary: result.binary,
                    values: values,
                    median: summary.median,
                    minimum: summary.minimum,
                    maximum: summary.maximum
                )
                if let index = rows.firstIndex(where: { $0.what == figure.what }) {
                    rows[index].cells.append(cell)
                } else {
                    let (what, unit) = (figure.what, figure.unit)
                    rows.append(Row(what: what, unit: unit, target: figure.target, cells: [cell]))
                }
            }
        }
        self.rows = rows
    }

    /// Whether the first binary's median meets a row's target; nil without a target or a median.
    func isMet(_ row: Row) -> Bool? {
        guard let target = row.target, let cell = row.cells.first(where: { $0.binary == binaries.first }) else {
            return nil
        }
        return target.isMet(by: cell.median)
    }

    /// A Markdown table: medians, and in parentheses minimum and maximum where they differ.
    var markdown: String {
        let head = ["\(scenario), runs: \(runs)"] + binaries + ["Target", ""]
        var lines = [head, head.map { _ in "---" }]
        for row in rows {
            let cells = binaries.map { binary in
                row.cells.first { $0.binary == binary }.map { Self.text($0, row.unit) } ?? ""
            }
            let verdict = isMet(row).map { $0 ? "met" : "missed" } ?? ""
            lines.append([row.what] + cells + [row.target?.text(row.unit) ?? "", verdict])
        }
        return lines.map { "| " + $0.joined(separator: " | ") + " |" }.joined(separator: "\n")
    }

    func json() throws -> Data {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        return try encoder.encode(self)
    }

    private static func text(_ cell: Row.Cell, _ unit: Figure.Unit) -> String {
        let (least, greatest) = (unit.text(cell.minimum), unit.text(cell.maximum))
        return least == greatest ? unit.text(cell.median) : "\(unit.text(cell.median)) (\(least) – \(greatest))"
    }
}
