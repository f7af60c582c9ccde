// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// The results of a run by fault.
struct ChaosReport {
    private struct Row {
        var rounds = 0
        var reported = 0
        var lost = 0
        var twice = 0
        var longest = Duration.zero
    }

    private var rows: [ChaosFault: Row] = [:]
    private var failoverTimes: [ReplicaFault: [Duration]] = [:]

    /// Adds a round.
    ///
    /// - Parameters:
    ///   - reported: the number of reports.
    ///   - lost: 1 when a report was missing in the end, otherwise 0.
    ///   - twice: the number of repeated reports.
    ///   - settling: the time from the end of the faults until everything was reported.
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

    /// As Markdown.
    var table: String {
        let lines = ChaosFault.all.compactMap { fault in
            rows[fault].map { row in
                "| \(fault.name) | \(row.rounds) | \(row.reported) | \(row.lost) | \(row.twice) | \(row.longest.tenths) |"
            }
        }
        let head = [
            "| Fault | Rounds | Reported | Lost | Twice | Settled after (s, longest) |", "|---|---|---|---|---|---|",
        ]
        let all = rows.values.reduce(into: Row()) { sum, row in
            sum.rounds += row.rounds
            sum.reported += row.reported
            sum.lost += row.lost
            sum.twice += row.twice
            sum.longest = max(sum.longest, row.longest)
        }
        let last = "| all | \(all.rounds) | \(all.reported) | \(all.lost) | \(all.twice) | \(all.longest.tenths) |"
        return (head + lines + [last]).joined(separator: "\n")
    }

    /// The times from the fault to the next leader's first probe.
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
