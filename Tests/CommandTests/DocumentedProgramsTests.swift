// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Foundation
import Testing

/// What the documentation names of this repository's programs exists, also in examples and in inline code, which no test
/// runs.
@Suite struct DocumentedProgramsTests {
    @Test func `every program, script, subcommand and flag exists`() async throws {
        var programs = try DocumentedPrograms()
        var found: Set<String> = []
        for page in try DocumentedCommand.pages() {
            let texts = try DocumentedCommand.inlineCode(in: page) + DocumentedCommand.all(in: page).map(\.text)
            for command in texts.flatMap(DocumentedPrograms.commands) {
                let problem = try await programs.problem(in: command)
                #expect(problem == nil, "\(page): \(command.joined(separator: " "))")
                found.insert(command[0])
            }
        }
        #expect(
            found.isSuperset(of: ["csi-health-monitor", "kubectl", "tools", "scripts/demo.sh", "scripts/chaos.sh"])
        )
    }

    @Test(
        arguments: [
            "csi-health-monitor dcotor": "dcotor",
            "kubectl exec POD -c csi-health-monitor -- csi-health-monitor doctor --csi-adress=PATH": "--csi-adress",
            "kubectl volume-healht -A": "kubectl volume-healht -A",
            "kubectl volume-health explian csi-pvc": "explian",
            "kubectl volume-health -A --ouput json | jq .": "--ouput",
            "tools clutser": "clutser",
            "tools bench memroy --runs 1": "memroy",
            "tools cluster --volume 6": "--volume",
            "scripts/dmeo.sh": "scripts/dmeo.sh",
            "scripts/demo.sh --kep": "--kep",
            "scripts/chaos.sh [--sede N]": "--sede",
            "scripts/fuzz.sh driver-reply 60": "driver-reply",
            "scripts/test.sh --filter CSIClientTest": "CSIClientTest",
        ]
    ) func `what does not exist is found`(text: String, problem: String) async throws {
        var programs = try DocumentedPrograms()
        var problems: [String] = []
        for command in DocumentedPrograms.commands(in: text) {
            if let problem = try await programs.problem(in: command) { problems.append(problem) }
        }
        #expect(problems.count == 1)
        #expect(problems.first?.hasSuffix(problem) == true)
    }

    @Test func `a file beside the directories of manifests is no page, and a page there is one`() throws {
        let root = FileManager.default.temporaryDirectory.appending(path: "dp-\(UUID().uuidString.prefix(8))")
        defer { try? FileManager.default.removeItem(at: root) }
        for path in [
            "README.md", "docs/status.md", "docs/a/b.md", "manifests/README.md", "manifests/kustomization.yaml",
            "manifests/krew/README.md", "Sources/notes.md",
        ] {
            let file = root.appending(path: path)
            try FileManager.default.createDirectory(
                at: file.deletingLastPathComponent(),
                withIntermediateDirectories: true
            )
            try Data().write(to: file)
        }
        let pages = try DocumentedCommand.pages(in: root)
        #expect(
            pages == ["README.md", "docs/a/b.md", "docs/status.md", "manifests/README.md", "manifests/krew/README.md"]
        )
    }
}
