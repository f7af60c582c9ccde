// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Foundation
import Testing

@testable import KubernetesClient

/// The files of manifests/monitoring.
enum Monitoring {
    /// The unit tests of the alerts.
    static let ruleTests = ["volumes", "monitor", "reports", "node", "drivers"].map { "tests/\($0).yaml" }

    struct Alert {
        var name: String
        var expression: String
        var severity: String
        var annotations: [String: String]
    }

    static func path(_ file: String) -> String {
        URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .appendingPathComponent("../../manifests/monitoring/\(file)").standardized.path
    }

    static func text(of file: String) throws -> String {
        try String(contentsOfFile: path(file), encoding: .utf8)
    }

    static func yaml(_ file: String) throws -> YAMLNode {
        try YAMLParser.parse(Array(text(of: file).utf8))
    }

    static func alerts() throws -> [Alert] {
        let groups = try #require(try yaml("rules.yaml")["groups"]).items
        return try groups.flatMap { $0["rules"]?.items ?? [] }.map { rule in
            Alert(
                name: try #require(rule["alert"]?.text),
                expression: try #require(rule["expr"]?.text),
                severity: rule["labels"]?["severity"]?.text ?? "",
                annotations: Dictionary(
                    uniqueKeysWithValues: (rule["annotations"]?.members ?? []).map { ($0.key, $0.value.text ?? "") }
                )
            )
        }
    }

    /// The expressions of the dashboard's panels and annotations, its variables with all values.
    static func dashboardExpressions() throws -> [String] {
        let dashboard = try yaml("dashboard.json")
        let targets = (dashboard["panels"]?.items ?? []).flatMap { $0["targets"]?.items ?? [] }
        let annotations = dashboard["annotations"]?["list"]?.items ?? []
        return (targets + annotations).compactMap { $0["expr"]?.text }.map { expression in
            expression.replacing(/\$(cluster|job|driver)\b/, with: ".*").replacing("$__rate_interval", with: "5m")
        }
    }
}

extension YAMLNode {
    var text: String? {
        guard case .scalar(let text, _) = content else { return nil }
        return text
    }

    /// Empty unless this is a sequence.
    var items: [YAMLNode] {
        guard case .sequence(let items) = content else { return [] }
        return items
    }

    /// Empty unless this is a mapping.
    var members: [Member] {
        guard case .mapping(let members) = content else { return [] }
        return members
    }

    /// Without the numbers of the lines, so that equal nodes of two files are equal.
    var withoutLines: YAMLNode {
        var node = self
        node.line = 0
        switch content {
        case .null, .scalar: break
        case .sequence(let items): node.content = .sequence(items.map(\.withoutLines))
        case .mapping(let members):
            node.content = .mapping(members.map { Member(key: $0.key, value: $0.value.withoutLines) })
        }
        return node
    }
}
