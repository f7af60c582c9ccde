// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// The rows that differ from one report to the next. Pure.
package struct RowChanges: Sendable {
    private var rows: [ObjectName: VolumeHealthRow]

    package init(_ report: StatusReport) {
        rows = Self.byClaim(report)
    }

    /// The rows that are new or have changed, the worst first. A claim that has become healthy has a healthy row; one
    /// that was deleted has none.
    package mutating func next(_ report: StatusReport) -> [VolumeHealthRow] {
        let old = rows
        rows = Self.byClaim(report)
        return report.rows.filter { row in
            row.status > .healthy ? old[row.claim] != row : old[row.claim] != nil
        }
    }

    private static func byClaim(_ report: StatusReport) -> [ObjectName: VolumeHealthRow] {
        Dictionary(uniqueKeysWithValues: report.notHealthy.map { ($0.claim, $0) })
    }
}
