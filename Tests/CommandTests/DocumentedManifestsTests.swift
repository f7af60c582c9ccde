// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Foundation
import HealthMonitorTestKit
import Testing

@testable import KubernetesClient

/// The kustomizations in the documentation, as `kubectl kustomize` renders them where their pages say that they are.
@Suite(.timeLimit(.minutes(50))) struct DocumentedManifestsTests {
    /// An object that a kustomization has.
    struct Object: Hashable {
        var kind: String
        var name: String
        var namespace: String?
    }

    // MARK: The driver that is installed already

    @Test func `the driver's kustomization alone has the objects that the whole one has`() async throws {
        try await Self.withDirectory { directory in
            try Self.prepareExample(in: directory)
            let driver = try await Self.render("example/driver", in: directory)
            let all = try await Self.render("example", in: directory)
            let objects = Set(driver.map(Self.object))
            let controller = Object(kind: "Deployment", name: "csi-example-controller", namespace: "csi-example")
            #expect(objects.contains(controller))
            #expect(objects.isSubset(of: all.map(Self.object)), "Uninstall would create others")
            #expect(!Self.containers(driver).contains { $0["name"]?.text == "csi-health-monitor" })
            let added = try #require(Self.containers(all).first { $0["name"]?.text == "csi-health-monitor" })
            #expect(added["image"]?.text == "NAME:TAG")
        }
    }

    @Test func `the commands of Uninstall delete what the components have installed, and nothing else`() async throws {
        try await Self.withDirectory { directory in
            try Self.prepareExample(in: directory)
            let path = "\(directory)/example/kustomization.yaml"
            let components = ["network-policy", "pod-disruption-budget", "pod-monitor", "service-monitor"]
            let text = try String(contentsOfFile: path, encoding: .utf8).replacing(
                "components:\n",
                with: "components:\n"
                    + components.map { "  - ../csi-health-monitor/manifests/components/\($0)\n" }.joined()
            )
            try text.write(toFile: path, atomically: true, encoding: .utf8)
            // The components take the selector of the only Deployment.
            let controller = "\(directory)/example/driver/controller.yaml"
            let documents = try String(contentsOfFile: controller, encoding: .utf8).split(separator: "---\n")
            let others = documents.filter { !$0.contains("name: csi-example-webhook") }
            try others.joined(separator: "---\n").write(toFile: controller, atomically: true, encoding: .utf8)

            func names(_ path: String) async throws -> Set<String> {
                let objects = try await Self.render(path, in: directory)
                return Set(objects.map(Self.object).map { "\($0.kind.lowercased())/\($0.name)" })
            }
            let installed = try await names("example").subtracting(names("example/driver"))
                .subtracting(names("example/rbac"))
            #expect(try Self.deleted(by: "docs/deploy.md") == installed)
        }
    }

    @Test func `the flags in the table are the container's`() async throws {
        try await Self.withDirectory { directory in
            try Self.prepareExample(in: directory)
            let containers = Self.containers(try await Self.render("example", in: directory))
            let added = try #require(containers.first { $0["name"]?.text == "csi-health-monitor" })
            let flags = (added["args"]?.items ?? []).compactMap { $0.text.map { "`\($0)`" } }
            let page = try Self.text(of: "docs/deploy.md")
            #expect(page.contains("\n| flags | \(flags.joined(separator: ", ")) | the whole list `args` |\n"))
        }
    }

    // MARK: The kustomizations beside the checkout

    @Test(arguments: ["README.md", "docs/deploy.md", "docs/agent.md"])
    func `the first kustomization of the page renders beside the checkout`(page: String) async throws {
        try await Self.withDirectory { directory in
            try Self.write(Self.block("newTag", in: page), to: "\(directory)/kustomization.yaml")
            let images = Self.containers(try await Self.render(".", in: directory)).compactMap { $0["image"]?.text }
            #expect(images.contains("NAME:TAG"))
            // Without a registry, the name of an image is that of the manifests.
            #expect(images.allSatisfy { $0 == "NAME:TAG" || $0.hasPrefix("REGISTRY/") }, "\(images)")
        }
    }

    @Test func `with readiness gates another line of resources takes the place of the first one`() async throws {
        let install = try Self.block("newTag", in: "docs/agent.md")
        let resources = try Self.block("agent-readiness", in: "docs/agent.md")
        let replaced = install.split(separator: "\n").map { line in
            line.hasPrefix("resources:") ? resources : String(line)
        }
        #expect(replaced.contains(resources))
        try await Self.withDirectory { directory in
            try Self.write(replaced.joined(separator: "\n"), to: "\(directory)/kustomization.yaml")
            let objects = try await Self.render(".", in: directory).map(Self.object)
            #expect(objects.contains { $0.kind == "ValidatingAdmissionPolicy" })
            #expect(objects.contains { $0.kind == "DaemonSet" })
        }
    }

    // MARK: Pages

    private static func text(of page: String) throws -> String {
        try String(contentsOf: DocumentedCommand.root.appending(path: page), encoding: .utf8)
    }

    /// The first YAML block with a text.
    private static func block(_ text: String, in page: String) throws -> String {
        let blocks = try DocumentedCommand.blocks(of: "yaml", in: page)
        return try #require(blocks.first { $0.contains(text) }, "\(page) has no block with \(text)")
    }

    /// The objects, as `kind/name`, that `kubectl delete -n NAMESPACE` deletes on a page.
    private static func deleted(by page: String) throws -> Set<String> {
        let lines = try DocumentedCommand.all(in: page).flatMap { $0.text.split(separator: "\n") }
        let deletions = lines.filter { $0.hasPrefix("kubectl delete -n NAMESPACE ") }.map { line in
            line.split(separator: " #").first.map { $0.split(separator: " ").dropFirst(4) } ?? []
        }
        return deletions.reduce(into: []) { deleted, words in
            let words = words.filter { !$0.hasPrefix("-") }
            if words.allSatisfy({ $0.contains("/") }) {
                deleted.formUnion(words.map(String.init))
            } else if let kinds = words.first {
                for kind in kinds.split(separator: ",") { deleted.formUnion(words.dropFirst().map { "\(kind)/\($0)" }) }
            }
        }
    }

    // MARK: Kustomizations

    /// A directory with the checkout, under the name that the pages use.
    private static func withDirectory(_ body: (_ directory: String) async throws -> Void) async throws {
        let directory = FileManager.default.temporaryDirectory.appending(path: "dm-\(UUID().uuidString.prefix(8))").path
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let manifests = "\(directory)/csi-health-monitor/manifests"
        try FileManager.default.createDirectory(
            atPath: "\(directory)/csi-health-monitor",
            withIntermediateDirectories: true
        )
        try FileManager.default.copyItem(
            atPath: DocumentedCommand.root.appending(path: "manifests").path,
            toPath: manifests
        )
        try await body(directory)
    }

    /// The three kustomizations of docs/deploy.md, with the driver of manifests/examples/sidecar-ehm.
    private static func prepareExample(in directory: String) throws {
        let blocks = [
            "driver": try block("- controller.yaml", in: "docs/deploy.md"),
            "rbac": try block("manifests/base/rbac", in: "docs/deploy.md"),
            "": try block("components/sidecar", in: "docs/deploy.md"),
        ]
        for (path, text) in blocks { try write(text, to: "\(directory)/example/\(path)/kustomization.yaml") }
        try FileManager.default.copyItem(
            atPath: "\(directory)/csi-health-monitor/manifests/examples/sidecar-ehm/driver/controller.yaml",
            toPath: "\(directory)/example/driver/controller.yaml"
        )
    }

    private static func write(_ text: String, to path: String) throws {
        let file = URL(fileURLWithPath: path).standardized
        try FileManager.default.createDirectory(
            at: file.deletingLastPathComponent(),
            withIntermediateDirectories: true
        )
        try Data(text.utf8).write(to: file)
    }

    private static func render(_ path: String, in directory: String) async throws -> [YAMLNode] {
        let kubectl = try Tool.find("kubectl", package: "kubernetes-client")
        let outcome = try await Tool.run(kubectl, ["kustomize", "\(directory)/\(path)"])
        try #require(outcome.exitCode == 0, "\(outcome.errors)")
        return try outcome.output.components(separatedBy: "\n---\n").map { try YAMLParser.parse(Array($0.utf8)) }
    }

    private static func object(_ node: YAMLNode) -> Object {
        let metadata = node["metadata"]
        return Object(
            kind: node["kind"]?.text ?? "",
            name: metadata?["name"]?.text ?? "",
            namespace: metadata?["namespace"]?.text
        )
    }

    private static func containers(_ objects: [YAMLNode]) -> [YAMLNode] {
        objects.flatMap { $0["spec"]?["template"]?["spec"]?["containers"]?.items ?? [] }
    }
}
