// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Foundation
import HealthMonitorTestKit
import Testing

@testable import KubernetesClient

/// The alerts of manifests/monitoring.
@Suite struct MonitoringRulesTests {
    @Test func `promtool accepts the alerts`() async throws {
        let verdict = try await Self.promtool("check", "rules", Monitoring.path("rules.yaml"))
        #expect(verdict.exitCode == 0, "\(verdict.output) \(verdict.errors)")
    }

    @Test(arguments: Monitoring.ruleTests) func `the alerts fire as their unit tests expect`(path: String) async throws
    {
        let verdict = try await Self.promtool("test", "rules", Monitoring.path(path))
        #expect(verdict.exitCode == 0, "\(verdict.output) \(verdict.errors)")
    }

    @Test func `each alert has a unit test in which it fires and one in which it does not`() throws {
        var fires: Set<String> = []
        var isQuiet: Set<String> = []
        for path in Monitoring.ruleTests {
            for group in try Monitoring.yaml(path)["tests"]?.items ?? [] {
                for test in group["alert_rule_test"]?.items ?? [] {
                    let name = try #require(test["alertname"]?.text)
                    if try #require(test["exp_alerts"]).items.isEmpty {
                        isQuiet.insert(name)
                    } else {
                        fires.insert(name)
                    }
                }
            }
        }
        let alerts = Set(try Monitoring.alerts().map(\.name))
        #expect(!alerts.isEmpty)
        #expect(fires == alerts)
        #expect(isQuiet == alerts)
    }

    @Test func `the PrometheusRule has the groups of the rules file`() throws {
        let rule = try Monitoring.yaml("prometheus-rule.yaml")
        #expect(rule["kind"]?.text == "PrometheusRule")
        let groups = try #require(rule["spec"]?["groups"]).withoutLines
        #expect(groups == (try #require(try Monitoring.yaml("rules.yaml")["groups"])).withoutLines)
    }

    @Test func `each alert has a severity, texts and a section in the runbook`() throws {
        let runbook = try Monitoring.text(of: "../../docs/runbook.md")
        let sections = Set(runbook.matches(of: /(?m)^### (\w+)$/).map { String($0.1) })
        let alerts = try Monitoring.alerts()
        for alert in alerts {
            #expect(["critical", "warning", "info"].contains(alert.severity), "\(alert.name)")
            #expect(alert.annotations["summary"]?.hasSuffix(".") == true, "\(alert.name)")
            #expect(alert.annotations["description"]?.contains("$labels.driver_name }}") == true, "\(alert.name)")
            let address = "RUNBOOK_BASE/docs/runbook.md#\(alert.name.lowercased())"
            #expect(alert.annotations["runbook_url"] == address, "\(alert.name)")
        }
        #expect(sections == Set(alerts.map(\.name)))
    }

    @Test func `alerts have the labels of a cluster and a driver, and only those about a replica the label instance`()
        throws
    {
        let ofReplica = ["MonitorNotReady", "DriverDisconnected"]
        for alert in try Monitoring.alerts() {
            let groupings = alert.expression.matches(of: /(?:avg|count|max|min|sum) by \(([a-z_, ]+)\)/).map { match in
                match.1.split(separator: ",").map { $0.trimmingCharacters(in: .whitespaces) }
            }
            #expect(!groupings.isEmpty, "\(alert.name)")
            for labels in groupings {
                #expect(labels.starts(with: ["cluster"]), "\(alert.name)")
                #expect(labels.contains("driver_name"), "\(alert.name)")
                #expect(labels.contains("instance") == ofReplica.contains(alert.name), "\(alert.name)")
            }
        }
    }

    private static func promtool(_ arguments: String...) async throws -> Tool.Outcome {
        try await Tool.run(Tool.find("promtool", package: "prometheus"), arguments)
    }
}
