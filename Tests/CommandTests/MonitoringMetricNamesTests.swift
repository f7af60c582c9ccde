// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Foundation
import HealthMonitorTestKit
import Testing

@testable import KubernetesClient

/// What the alerts and the dashboard of manifests/monitoring query, compared with docs/metrics.md, which another test
/// compares with the program.
@Suite struct MonitoringMetricNamesTests {
    /// A documented metric.
    private struct Metric {
        var name: String
        var type: String
        var labels: Set<String>

        /// The names of its series.
        var series: [String] {
            type == "histogram" ? ["_bucket", "_sum", "_count"].map { name + $0 } : [name]
        }
    }

    /// Labels that the scrape configuration adds, and `le` of histograms.
    private static let addedLabels: Set = ["cluster", "job", "instance", "namespace", "pod", "node", "le"]

    private static func metrics() throws -> [Metric] {
        try Monitoring.text(of: "../../docs/metrics.md")
            .matches(of: /(?m)^\| `([a-z_]+)` \| (gauge|counter|histogram) \| ([a-z_`, ]*) ?\|/)
            .map { row in
                Metric(
                    name: String(row.1),
                    type: String(row.2),
                    labels: Set(row.3.matches(of: /[a-z_]+/).map { String($0.output) })
                )
            }
    }

    /// Alerts and the dashboard.
    private static func expressions() throws -> [String] {
        try Monitoring.alerts().map(\.expression) + Monitoring.dashboardExpressions()
    }

    @Test func `alerts and dashboard query metrics that exist`() throws {
        let known = Set(try Self.metrics().flatMap(\.series))
        #expect(!known.isEmpty)
        for expression in try Self.expressions() {
            let names = Self.names(in: expression)
            #expect(!names.isEmpty, "\(expression)")
            for name in names { #expect(known.contains(name), "\(name) in \(expression)") }
        }
    }

    @Test func `alerts and dashboard use labels that one of their metrics has`() throws {
        let metrics = try Self.metrics()
        for expression in try Self.expressions() {
            let names = Self.names(in: expression)
            let labels = metrics.filter { !names.isDisjoint(with: $0.series) }.reduce(into: Self.addedLabels) {
                $0.formUnion($1.labels)
            }
            for label in Self.labels(in: expression) { #expect(labels.contains(label), "\(label) in \(expression)") }
        }
    }

    @Test func `Prometheus parses the expressions of the dashboard`() async throws {
        let expressions = try Monitoring.dashboardExpressions()
        #expect(expressions.count > 20)
        let rules =
            "groups: [{name: dashboard, rules: [\n"
            + expressions.map { "{record: 'panel:query', expr: '\($0)'},\n" }.joined() + "]}]"
        let verdict = try await Tool.run(
            Tool.find("promtool", package: "prometheus"),
            ["check", "rules", "--lint=none", "/dev/stdin"],
            input: rules
        )
        #expect(verdict.exitCode == 0, "\(verdict.output) \(verdict.errors)")
    }

    @Test func `every panel has a title, a place of its own and a query of the selected data source`() throws {
        let dashboard = try Monitoring.yaml("dashboard.json")
        let panels = try #require(dashboard["panels"]).items
        #expect(Set(panels.compactMap { $0["id"]?.text }).count == panels.count)
        var cells: Set<[Int]> = []
        for panel in panels {
            let title = try #require(panel["title"]?.text)
            let place = try #require(panel["gridPos"])
            let (x, y) = (try #require(place.number("x")), try #require(place.number("y")))
            let (width, height) = (try #require(place.number("w")), try #require(place.number("h")))
            #expect(x + width <= 24, "\(title)")
            for column in x..<x + width {
                for line in y..<y + height {
                    #expect(cells.insert([column, line]).inserted, "\(title) overlaps another panel")
                }
            }
            guard panel["type"]?.text != "row" else { continue }
            let targets = panel["targets"]?.items ?? []
            #expect(!targets.isEmpty, "\(title)")
            for target in targets { #expect(target["datasource"]?["uid"]?.text == "${datasource}", "\(title)") }
        }
    }

    /// The names of metrics in an expression: words of this program's prefixes.
    private static func names(in expression: String) -> Set<String> {
        Set(
            expression.matches(of: /\b(?:csi|rest_client|process|workqueue|leader_election)_[a-z_]+/).map {
                String($0.output)
            }
        )
    }

    /// The labels in groupings, matchings and selectors.
    private static func labels(in expression: String) -> Set<String> {
        let lists = expression.matches(of: /\b(?:by|on|ignoring|without|group_left) \(([a-z_, ]*)\)/).map(\.1)
        let selected = expression.matches(of: /([a-z_]+)(?:=|!=|=~|!~)"/).map { String($0.1) }
        return Set(lists.flatMap { $0.matches(of: /[a-z_]+/).map { String($0.output) } } + selected)
    }
}

extension YAMLNode {
    fileprivate func number(_ key: String) -> Int? {
        self[key]?.text.flatMap(Int.init)
    }
}
