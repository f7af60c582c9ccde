// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthCore

/// The table of `status`: columns as wide as their widest cell, three spaces between them, as kubectl prints.
package struct StatusTable: Sendable {
    package enum Detail: Sendable {
        case normal
        /// With the volume, the source, and whole messages.
        case wide
    }

    private let detail: Detail
    private let hasNamespace: Bool
    private let isColored: Bool
    /// By column. They only grow, so that lines of a watch align with the ones before.
    private var widths: [Int] = []

    /// - Parameters:
    ///   - hasNamespace: whether there is a column for the namespace.
    ///   - isColored: whether the status has the color of its severity.
    package init(detail: Detail, hasNamespace: Bool, isColored: Bool) {
        self.detail = detail
        self.hasNamespace = hasNamespace
        self.isColored = isColored
    }

    /// The lines of rows, each ending in a newline.
    ///
    /// - Parameter now: in seconds since 1970.
    package mutating func lines(_ rows: some Collection<VolumeHealthRow>, hasHeader: Bool, now: Int64) -> String {
        let cells = (hasHeader ? [header] : []) + rows.map { self.cells($0, now: now) }
        let statuses: [VolumeHealthRow.Status?] = (hasHeader ? [nil] : []) + rows.map(\.status)
        for line in cells {
            if widths.isEmpty { widths = Array(repeating: 0, count: line.count) }
            for (column, cell) in line.enumerated() { widths[column] = max(widths[column], cell.count) }
        }
        var text = ""
        for (line, status) in zip(cells, statuses) {
            for (column, cell) in line.enumerated() {
                let isStatus = column == statusColumn
                text += isStatus ? colored(cell, status) : cell
                if column < line.count - 1 {
                    text += String(repeating: " ", count: widths[column] - cell.count + 3)
                }
            }
            text += "\n"
        }
        return text
    }

    private var statusColumn: Int { hasNamespace ? 2 : 1 }

    private var header: [String] {
        (hasNamespace ? ["NAMESPACE"] : []) + ["CLAIM", "STATUS", "REASON", "SINCE", "DRIVER", "PODS", "NODE"]
            + (detail == .wide ? ["VOLUME", "SOURCE"] : []) + ["MESSAGE"]
    }

    private func cells(_ row: VolumeHealthRow, now: Int64) -> [String] {
        let pods = row.pods.map { Self.listed($0, isWhole: detail == .wide) } ?? "<unknown>"
        let driver = row.driver.map { $0.isEmpty ? "<none>" : $0 } ?? "<unknown>"
        var cells = hasNamespace ? [row.claim.namespace] : []
        cells += [row.claim.name, row.status.rawValue, row.reason.isEmpty ? "<none>" : row.reason]
        cells += [row.since.map { age(ageInSeconds(of: $0, now: now)) } ?? "<unknown>", driver, pods]
        cells.append(
            row.nodes.isEmpty
                ? (row.pods == nil ? "<unknown>" : "<none>") : Self.listed(row.nodes, isWhole: detail == .wide)
        )
        if detail == .wide {
            cells += [row.volumeName.isEmpty ? "<none>" : row.volumeName, row.source?.rawValue ?? "<none>"]
        }
        let more = row.conditions.count - 1
        let message = row.message + (more > 0 ? " (and \(more) more)" : "")
        cells.append(detail == .wide ? message : Self.shortened(message))
        return cells.map(printable)
    }

    /// `a,b,c + 4 more...`, as kubectl shortens lists.
    private static func listed(_ names: [String], isWhole: Bool) -> String {
        guard !names.isEmpty else { return "<none>" }
        guard !isWhole, names.count > 3 else { return names.joined(separator: ",") }
        return names.prefix(3).joined(separator: ",") + " + \(names.count - 3) more..."
    }

    private static func shortened(_ message: String) -> String {
        message.count <= 80 ? message : message.prefix(77) + "..."
    }

    private func colored(_ cell: String, _ status: VolumeHealthRow.Status?) -> String {
        guard isColored, let status else { return cell }
        let color =
            switch status {
            case .healthy: 32
            case .unknown: 35
            case .degraded: 33
            case .inaccessible, .dataLoss: 31
            }
        return "\u{1B}[\(color)m\(cell)\u{1B}[0m"
    }
}
