// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Flags
import HealthCore
import VolumeStatus

/// Rows in the format of `-o`.
struct StatusPrinter {
    private let output: StatusFlags.Output?
    private let hasHeader: Bool
    private let hasNamespace: Bool
    private var table: StatusTable

    init(flags: StatusFlags, hasNamespace: Bool, isColored: Bool) {
        output = flags.output
        hasHeader = !flags.noHeaders
        self.hasNamespace = hasNamespace
        table = StatusTable(
            detail: output == .wide ? .wide : .normal,
            hasNamespace: hasNamespace,
            isColored: isColored
        )
    }

    /// The claims that are not healthy.
    mutating func list(_ report: StatusReport, _ summary: StatusSummary, now: Int64) -> String {
        switch output {
        case .json: report.structured(summary).json + "\n"
        case .yaml: report.structured(summary).yaml
        case .name: report.notHealthy.map(name).joined()
        case .wide, nil:
            // Without rows there is no header, as in kubectl.
            report.notHealthy.isEmpty ? "" : table.lines(report.notHealthy, hasHeader: hasHeader, now: now)
        }
    }

    /// Rows that a watch has found changed, also of claims that have become healthy. In JSON an object on each line, in
    /// YAML a document for each.
    mutating func changes(_ rows: [VolumeHealthRow], now: Int64) -> String {
        switch output {
        case .json: rows.map { $0.structured.compactJSON + "\n" }.joined()
        case .yaml: rows.map { "---\n" + $0.structured.yaml }.joined()
        case .name: rows.map(name).joined()
        case .wide, nil: table.lines(rows, hasHeader: false, now: now)
        }
    }

    /// The totals, warnings and notes for standard error; JSON and YAML have them already.
    func remarks(_ summary: StatusSummary) -> String {
        guard output != .json, output != .yaml else { return "" }
        let lines = summary.totals + summary.warnings.map { "warning: \($0)" } + summary.notes.map { "note: \($0)" }
        return lines.map { printable($0) + "\n" }.joined()
    }

    /// Arguments for kubectl. Of all namespaces each line has its own flag, for `xargs -L1 kubectl describe`.
    private func name(_ row: VolumeHealthRow) -> String {
        let name = "persistentvolumeclaim/\(row.claim.name)\n"
        return hasNamespace ? "--namespace=\(row.claim.namespace) \(name)" : name
    }
}
