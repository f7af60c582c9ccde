// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Foundation
import HealthMonitorTestKit
import Testing

@testable import csi_health_monitor

/// Every command in a block of the documentation is run by a test, or marked as an example.
@Suite(.timeLimit(.minutes(50))) struct DocumentedCommandsTests {
    /// A command that is run as it is written, against a simulated API server.
    struct Run: Sendable, CustomStringConvertible {
        var page: String
        /// How it begins.
        var command: String
        /// The values of words that the page leaves open.
        var values: [String: String] = [:]
        /// Whether the claim shop/data has recovered.
        var isRecovered = false
        var exitCode: Int32 = 0
        /// What the output contains.
        var output: [String]

        var description: String { "\(page): \(command)" }
    }

    private static let runs = [
        Run(page: "docs/status.md", command: "kubectl volume-health", output: ["csi-pvc", "DataLoss", "BadBlocks"]),
        Run(
            page: "docs/status.md",
            command: "kubectl volume-health explain csi-pvc",
            output: ["Health:   DataLoss (BadBlocks) for", "Monitor:  found"]
        ),
        Run(page: "docs/status.md", command: "kubectl volume-health -A", output: ["shop", "default"]),
        Run(
            page: "docs/remediation.md",
            command: "kubectl volume-health -A -o name |",
            output: ["Name:          data", "Name:          csi-pvc", "\ndata   Bound"]
        ),
        Run(
            page: "docs/remediation.md",
            command: "kubectl volume-health -A -o json |",
            output: ["pod \"web-0\" deleted (server dry run)"]
        ),
        Run(
            page: "docs/remediation.md",
            command: "kubectl volume-health -n shop --exit-code",
            exitCode: 1,
            output: ["MountLost"]
        ),
        Run(
            page: "docs/remediation.md",
            command: "kubectl volume-health -n shop --exit-code",
            isRecovered: true,
            output: ["persistentvolumeclaim/data condition met"]
        ),
        Run(
            page: "docs/deploy.md",
            command: "kubectl get pvc -A -o json |",
            values: ["NAMESPACE": "default", "NAME": "csi-pvc"],
            output: ["persistentvolumeclaim/data patched", "persistentvolumeclaim/csi-pvc patched"]
        ),
        Run(
            page: "docs/runbook.md",
            command: "kubectl get events -A --field-selector involvedObject.kind=PersistentVolumeClaim",
            output: ["VolumeConditionAbnormal", "persistentvolumeclaim/csi-pvc", "DataLoss (BadBlocks): 7 blocks"]
        ),
        Run(
            page: "docs/runbook.md",
            command: "kubectl get pvc csi-pvc-1 -o jsonpath=",
            output: [#"{"healthConditions":[{"message":"200 ms","reason":"Slow","status":"Degraded"}],"#]
        ),
        Run(
            page: "docs/runbook.md",
            command: "kubectl get pods -n NAMESPACE",
            values: ["NAMESPACE": "shop", "CLAIM": "data"],
            output: ["web-0\n"]
        ),
        Run(
            page: "docs/runbook.md",
            command: "kubectl get events -n default --field-selector reason=DriverOutage",
            output: ["csidriver/hostpath.csi.k8s.io", "8 of 20 volumes"]
        ),
        Run(
            page: "docs/runbook.md",
            command: "kubectl get lease -A",
            output: ["external-health-monitor-leader-hostpath-csi-k8s-io   pod-0"]
        ),
        Run(
            page: "docs/runbook.md",
            command: "kubectl get events -A --field-selector reason=LeaderElection",
            output: ["pod-0 became leader"]
        ),
        Run(
            page: "docs/runbook.md",
            command: "kubectl get events -A --field-selector reason=VolumesVanished",
            output: ["8 of 28 volumes"]
        ),
    ]

    /// The commands that others run: the file that does, and its text.
    private static let runElsewhere: [String: (file: String, text: String)] = [
        "scripts/demo.sh": (".ci/run", "scripts/demo.sh --driver=health"),
        "scripts/test.sh": (".ci/run", "scripts/test.sh\n"),
        "scripts/image.sh": ("scripts/release-test.sh", "scripts/image.sh --"),
        "kubectl describe pvc csi-pvc": ("scripts/demo.sh", "kubectl describe pvc csi-pvc |"),
        "kubectl get pvc csi-pvc -o jsonpath='{.status.healthStatus}'": (
            "scripts/demo.sh", "kubectl get pvc csi-pvc --output 'jsonpath={.status.healthStatus}'"
        ),
        "kubectl describe pod my-csi-app": ("scripts/demo.sh", "kubectl describe pod my-csi-app |"),
    ]
    /// The pages all of whose commands are run by these.
    private static let runByTests = [
        "manifests/krew/README.md": "KrewManifestTests", "docs/status-page.md": "StatusPageProgramTests",
    ]

    @Test func `every command is run by a test or marked as an example`() throws {
        var elsewhere = Set(Self.runElsewhere.keys)
        var unknown: [String] = []
        for page in try DocumentedCommand.pages() where Self.runByTests[page] == nil {
            for command in try DocumentedCommand.all(in: page) where !command.isExample {
                if let run = Self.runElsewhere[command.text] {
                    elsewhere.remove(command.text)
                    let file = DocumentedCommand.root.appending(path: run.file)
                    #expect(try String(contentsOf: file, encoding: .utf8).contains(run.text), "\(command.text)")
                } else if !Self.runs.contains(where: { $0.page == page && command.text.hasPrefix($0.command) }) {
                    unknown.append("\(page): \(command.text)")
                }
            }
        }
        #expect(unknown == [])
        #expect(elsewhere == [], "no page has these commands")
    }

    @Test(arguments: runs) func `the command does what its page says`(run: Run) async throws {
        let commands = try DocumentedCommand.all(in: run.page).filter { !$0.isExample }
        let exact = commands.first { $0.text == run.command }
        let command = try #require(exact ?? commands.first { $0.text.hasPrefix(run.command) })
        // The longest first: NAMESPACE contains NAME.
        let values = run.values.sorted { $0.key.count > $1.key.count }
        let text = values.reduce(command.text) { $0.replacing($1.key, with: $1.value) }
        try await withScene { scene in
            try Self.prepare(scene, isRecovered: run.isRecovered)
            let plugin = "\(scene.directory)/kubectl-volume_health"
            try FileManager.default.createSymbolicLink(atPath: plugin, withDestinationPath: try programPath())
            let path = "\(scene.directory):\(ProcessInfo.processInfo.environment["PATH"] ?? "")"
            let outcome = try await Tool.run(
                "/bin/bash",
                ["-euo", "pipefail", "-c", text],
                environment: ["KUBECONFIG": scene.kubeconfig, "PATH": path]
            )
            #expect(outcome.exitCode == run.exitCode, "\(outcome.errors)")
            for expected in run.output { #expect(outcome.output.contains(expected), "\(outcome)") }
        }
    }

    /// Three unhealthy claims in two namespaces, and the events that the pages show.
    private static func prepare(_ scene: StatusScene, isRecovered: Bool) throws {
        try scene.break("csi-pvc", "DataLoss", "BadBlocks", "7 blocks")
        try scene.abnormalEvent(on: "csi-pvc", "DataLoss (BadBlocks): 7 blocks")
        try scene.break("csi-pvc-1", "Degraded", "Slow", "200 ms")
        try scene.server.create(["apiVersion": "v1", "kind": "Namespace", "metadata": ["name": "shop"]])
        var data = VolumeFixture(number: 7)
        (data.namespace, data.claimName) = ("shop", "data")
        try data.create(in: scene.server)
        if !isRecovered { try scene.break("data", namespace: "shop", "Inaccessible", "MountLost", "") }
        try scene.server.patch(
            kind: "PersistentVolumeClaim",
            namespace: "shop",
            name: "data",
            [
                "status": [
                    "conditions": [
                        [
                            "type": "csi-health-monitor/VolumeHealthy", "status": isRecovered ? "True" : "False",
                            "reason": isRecovered ? "Healthy" : "MountLost", "message": "",
                            "lastTransitionTime": "2026-01-01T00:00:00Z",
                        ],
                        ["type": "FileSystemResizePending", "status": "True"],
                    ]
                ]
            ]
        )
        var pod = PodFixture(name: "web-0", nodeName: "node-1", claimNames: ["data"])
        pod.namespace = "shop"
        try pod.create(in: scene.server)
        for (reason, kind, name, message) in [
            ("DriverOutage", "CSIDriver", "hostpath.csi.k8s.io", "8 of 20 volumes unhealthy"),
            ("VolumesVanished", "CSIDriver", "hostpath.csi.k8s.io", "does not find 8 of 28 volumes"),
            ("LeaderElection", "Lease", "external-health-monitor-leader-hostpath-csi-k8s-io", "pod-0 became leader"),
        ] as [(String, String, String, String)] {
            try scene.server.create([
                "apiVersion": "v1", "kind": "Event",
                "metadata": ["name": .string(reason.lowercased()), "namespace": "default"],
                "involvedObject": ["kind": .string(kind), "name": .string(name)], "reason": .string(reason),
                "message": .string(message), "type": "Warning", "count": 1,
                "firstTimestamp": "2026-01-01T00:00:00Z", "lastTimestamp": "2026-01-01T00:00:00Z",
            ])
        }
    }
}
