// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Foundation
import HealthMonitorTestKit
import Testing

/// The tables of docs/metrics.md for one of the commands.
struct MetricsPage {
    private let text: String

    private static let agentTitle = "\n## The agent\n"

    static func controller() throws -> MetricsPage {
        MetricsPage(text: try #require(try page().components(separatedBy: agentTitle).first))
    }

    static func agent() throws -> MetricsPage {
        let parts = try page().components(separatedBy: agentTitle)
        try #require(parts.count == 2)
        return MetricsPage(text: parts[1])
    }

    private static func page() throws -> String {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        return try String(contentsOf: root.appendingPathComponent("docs/metrics.md"), encoding: .utf8)
    }

    /// Expects exactly the metrics of `exposition`, with their types and labels, and a valid example query for each.
    func check(_ exposition: String) async throws {
        let exposed = Self.metrics(in: exposition)
        let rows = text.split(separator: "\n").filter { $0.contains(/^\| `[a-z_]+` \| (gauge|counter|histogram) \|/) }
        let documented = text.matches(of: /\| `([a-z_]+)` \| ([a-z]+) \| ([a-z_`, ]*) ?\|/).map { row in
            "\(row.1) \(row.2) \(row.3.filter { $0 != "`" && $0 != " " })"
        }
        #expect(Set(documented) == exposed)
        #expect(documented.count == exposed.count)
        try await checkQueries(rows)
    }

    /// Name, type and labels of each metric.
    private static func metrics(in exposition: String) -> Set<String> {
        var metrics: Set<String> = []
        var types: [Substring: Substring] = [:]
        for line in exposition.split(separator: "\n") {
            if let match = line.wholeMatch(of: /# TYPE (\S+) (\S+)/) {
                types[match.1] = match.2
            } else if let match = line.wholeMatch(of: /([a-z_]+?)(_bucket|_sum|_count)?(\{.*\})? \S+/) {
                let name = types[match.1] == nil ? match.1 + (match.2 ?? "") : match.1
                let labels = (match.3 ?? "").matches(of: /([a-z_]+)="/).map(\.1).filter { $0 != "le" }
                metrics.insert("\(name) \(types[name] ?? "?") \(labels.joined(separator: ","))")
            }
        }
        return metrics
    }

    private func checkQueries(_ rows: [Substring]) async throws {
        let queries = try rows.map { row in
            try #require(row.firstMatch(of: /\| `([^`]+)` \|$/), "no example query: \(row)").1
        }
        for (row, query) in zip(rows, queries) {
            let name = try #require(row.firstMatch(of: /`([a-z_]+)`/)).1
            #expect(query.contains(name), "the example of \(name) has another metric: \(query)")
        }
        let rules =
            "groups: [{name: examples, rules: [\n"
            + queries.map { "{record: 'example:query', expr: '\($0)'},\n" }.joined() + "]}]"
        let verdict = try await Tool.run(
            Tool.find("promtool", package: "prometheus"),
            ["check", "rules", "--lint=none", "/dev/stdin"],
            input: rules
        )
        #expect(verdict.exitCode == 0, "\(verdict.output) \(verdict.errors)")
    }
}
