// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// The results of a chaos run, summed for each fault.
struct ChaosReport {
    private struct Row {
        var rounds = 0
        var reported = 0
        var lost = 0
        var twice = 0
        /// The longest time to settle.
        var longest = Duration.zero
    }

    private var rows: [ChaosFault: Row] = [:]
    private var failoverTimes: [ReplicaFault: [Duration]] = [:]

    /// Adds the results of a round.
    ///
    /// - Parameters:
    ///   - fault: the first fault of the round.
    ///   - reported: the number of reports.
    ///   - lost: 1 when the round failed to settle (a report was missing, or a promise was broken), otherwise 0.
    ///   - twice: the number of repeated reports.
    ///   - settling: the time from the end of the faults until everything was reported.
    ///   - failovers: the time from the fault to the next leader's first probe; empty when no failover was measured.
    mutating func add(
        _ fault: ChaosFault,
        reported: Int,
        lost: Int,
        twice: Int,
        settling: Duration,
        failovers: [ReplicaFault: Duration]
    ) {
        var row = rows[fault] ?? Row()
        row.rounds += 1
        row.reported += reported
        row.lost += lost
        row.twice += twice
        row.longest = max(row.longest, settling)
        rows[fault] = row
        for (fault, time) in failovers { failoverTimes[fault, default: []].append(time) }
    }

    /// A Markdown table with a row for each fault that occurred, and the totals in the last row.
    var table: String {
        let lines = ChaosFault.everywhere.compactMap { fault in
            rows[fault].map { row in
                "| \(fault.name) | \(row.rounds) | \(row.reported) | \(row.lost) | \(row.twice) | \(row.longest.tenths) |"
            }
        }
        let header = [
            "| Fault | Rounds | Reported | Lost | Twice | Settled after (s, longest) |", "|---|---|---|---|---|---|",
        ]
        let total = rows.values.reduce(into: Row()) { sum, row in
            sum.rounds += row.rounds
            sum.reported += row.reported
            sum.lost += row.lost
            sum.twice += row.twice
            sum.longest = max(sum.longest, row.longest)
        }
        let totals =
            "| all | \(total.rounds) | \(total.reported) | \(total.lost) | \(total.twice) | \(total.longest.tenths) |"
        return (header + lines + [totals]).joined(separator: "\n")
    }

    /// A line for each fault that moved the leadership, with the times from the fault to the next leader's first probe,
    /// after a line with the timing of the lease.
    var failovers: String {
        let lines = ReplicaFault.allCases.compactMap { fault in
            failoverTimes[fault].map { times in
                "failover, \(fault.rawValue): \(times.map(\.tenths).joined(separator: ", ")) s"
            }
        }
        let timing =
            "lease duration \(Replicas.Timing.leaseDuration.tenths) s, retry period \(Replicas.Timing.retryPeriod.tenths) s"
        return ([timing] + lines).joined(separator: "\n")
    }
}
