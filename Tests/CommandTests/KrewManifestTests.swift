// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Foundation
import HealthMonitorTestKit
import Testing

@testable import KubernetesClient
@testable import csi_health_monitor

/// manifests/krew, as krew validates a manifest: kubernetes-sigs/krew at db921d5, `pkg/index/types.go` (the fields),
/// `internal/index/validation/validate.go` and `cmd/validate-krew-manifest/main.go`.
@Suite(.timeLimit(.minutes(50))) struct KrewManifestTests {
    /// The manifest of a release, made by the command in README.md.
    private static func manifest() async throws -> YAMLNode {
        let directory = DocumentedCommand.root.appending(path: "manifests/krew").path
        let commands = try DocumentedCommand.all(in: "manifests/krew/README.md")
        let command = try #require(commands.first)
        #expect(commands.count == 1)
        let outcome = try await Tool.run(
            "/bin/bash",
            ["-euc", "cd \"$directory\"; \(command.text)"],
            environment: [
                "directory": directory,
                "version": "v0.2.0", "url": "https://example.com/releases/download/v0.2.0/volume-health.tar.gz",
                "sha256": String(repeating: "0a", count: 32),
            ]
        )
        #expect(outcome.exitCode == 0, "\(outcome.errors)")
        return try YAMLParser.parse(Array(outcome.output.utf8))
    }

    private static func keys(_ node: YAMLNode?) -> Set<String> { Set(node?.members.map(\.key) ?? []) }

    @Test func `the release's manifest has krew's fields and no others`() async throws {
        let manifest = try await Self.manifest()
        #expect(Self.keys(manifest) == ["apiVersion", "kind", "metadata", "spec"])
        #expect(manifest["apiVersion"]?.text == "krew.googlecontainertools.github.com/v1alpha2")
        #expect(manifest["kind"]?.text == "Plugin")
        // The name of the file is the plugin's, and the program's name follows from it.
        let name = try #require(manifest["metadata"]?["name"]?.text)
        #expect(name == "volume-health")
        #expect(StatusCommand.pluginName == "kubectl-\(name.replacing("-", with: "_"))")
        let spec = try #require(manifest["spec"])
        #expect(
            Self.keys(spec).isSubset(of: [
                "version", "shortDescription", "description", "caveats", "homepage", "platforms",
            ])
        )
        // A semantic version with a leading v.
        #expect(spec["version"]?.text?.wholeMatch(of: /v\d+\.\d+\.\d+/) != nil)
        let description = try #require(spec["shortDescription"]?.text)
        #expect(!description.isEmpty && !description.contains { $0.isNewline })
    }

    @Test func `each platform can be downloaded, checked and installed with its licence`() async throws {
        let platforms = try #require(try await Self.manifest()["spec"]?["platforms"]?.items)
        #expect(!platforms.isEmpty)
        var selectors: Set<[String: String]> = []
        for platform in platforms {
            #expect(Self.keys(platform) == ["selector", "uri", "sha256", "bin", "files"])
            #expect(platform["uri"]?.text?.hasPrefix("https://") == true)
            #expect(platform["sha256"]?.text?.wholeMatch(of: /[a-f0-9]{64}/) != nil)
            #expect(Self.keys(platform["selector"]) == ["matchLabels"])
            let labels = platform["selector"]?["matchLabels"]?.members ?? []
            #expect(Set(labels.map(\.key)) == ["os", "arch"])
            let selector = Dictionary(uniqueKeysWithValues: labels.map { ($0.key, $0.value.text ?? "") })
            #expect(selectors.insert(selector).inserted, "two platforms match \(selector)")
            let files = try #require(platform["files"]?.items)
            #expect(files.allSatisfy { Self.keys($0) == ["from", "to"] })
            // Both are at the root of the archive.
            #expect(files.allSatisfy { $0["to"]?.text == "." })
            let names = Set(files.compactMap { $0["from"]?.text })
            #expect(names == ["LICENSE", StatusCommand.pluginName])
            #expect(platform["bin"]?.text == StatusCommand.pluginName)
        }
    }
}
