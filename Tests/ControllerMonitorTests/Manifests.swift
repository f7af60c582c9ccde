// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Foundation
import HealthMonitorTestKit
import Testing

@testable import KubernetesClient

/// The objects of a kustomization under manifests/, as built by `kubectl kustomize`.
struct Manifests: Sendable {
    let objects: [YAMLNode]

    private static let loading = Task { try await Manifests("examples/hostpath") }

    /// The example with every feature.
    static var example: Manifests {
        get async throws { try await loading.value }
    }

    /// - Parameter path: The kustomization's path below manifests/, such as `base`.
    init(_ path: String) async throws {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let kubectl = try Tool.find("kubectl", package: "kubernetes-client")
        let result = try await Tool.run(kubectl, ["kustomize", root.appendingPathComponent("manifests/\(path)").path])
        #expect(result.exitCode == 0, "kubectl kustomize manifests/\(path): \(result.errors)")
        objects = try result.output.components(separatedBy: "\n---\n").map {
            try YAMLParser.parse(Array($0.utf8))
        }
    }

    func objects(_ kind: String) -> [YAMLNode] {
        objects.filter { $0["kind"]?.text == kind }
    }

    /// Every rule of every Role and ClusterRole. The rules of a Role apply in its namespace.
    var rules: [PolicyRule] {
        var rules: [PolicyRule] = []
        for role in objects("ClusterRole") + objects("Role") {
            let namespace = role["kind"]?.text == "Role" ? role["metadata"]?["namespace"]?.text : nil
            rules += (role["rules"]?.items ?? []).map { Self.rule($0, in: namespace) }
        }
        return rules
    }

    private static func rule(_ rule: YAMLNode, in namespace: String?) -> PolicyRule {
        func texts(_ key: String) -> [String] { rule[key]?.texts ?? [] }
        return PolicyRule(
            verbs: texts("verbs"),
            apiGroups: texts("apiGroups"),
            resources: texts("resources"),
            resourceNames: texts("resourceNames"),
            namespace: namespace
        )
    }
}

extension YAMLNode {
    var text: String? {
        if case .scalar(let text, _) = content { text } else { nil }
    }

    var items: [YAMLNode] {
        if case .sequence(let items) = content { items } else { [] }
    }

    var texts: [String] { items.compactMap(\.text) }
}
