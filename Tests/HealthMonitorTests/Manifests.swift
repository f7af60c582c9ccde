// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Foundation
import HealthMonitorTestKit

@testable import KubernetesClient

/// The objects of a kustomization under manifests/, as `kubectl kustomize` makes them.
struct Manifests {
    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    let objects: [YAMLNode]

    /// - Parameter path: below manifests/: `base`.
    init(_ path: String) throws {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let kubectl = Process()
        kubectl.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        kubectl.arguments = ["kubectl", "kustomize", root.appendingPathComponent("manifests/\(path)").path]
        let output = Pipe()
        let errors = Pipe()
        kubectl.standardOutput = output
        kubectl.standardError = errors
        try kubectl.run()
        let text = try output.fileHandleForReading.readToEnd() ?? Data()
        let problem = try errors.fileHandleForReading.readToEnd() ?? Data()
        kubectl.waitUntilExit()
        guard kubectl.terminationStatus == 0 else {
            throw Failure(
                description: "kubectl kustomize manifests/\(path), of Debian's package kubernetes-client: "
                    + String(decoding: problem, as: UTF8.self)
            )
        }
        objects = try String(decoding: text, as: UTF8.self).components(separatedBy: "\n---\n").map {
            try YAMLParser.parse(Array($0.utf8))
        }
    }

    func objects(_ kind: String) -> [YAMLNode] {
        objects.filter { $0["kind"]?.text == kind }
    }

    /// Every rule of every Role and ClusterRole; those of a Role hold in its namespace.
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
