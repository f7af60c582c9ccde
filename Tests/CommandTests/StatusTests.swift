// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Foundation
import HealthMonitorTestKit
import HealthRuntime
import KubernetesAPI
import Testing

@testable import Flags
@testable import csi_health_monitor

/// The `status` command against a simulated API server.
@Suite(.timeLimit(.minutes(50))) struct StatusTests {
    // MARK: Formats

    @Test func `the table has unhealthy claims, the worst first, and the totals beside it`() async throws {
        try await withScene { scene in
            try scene.break("csi-pvc", "Degraded", "SlowIO", "3 of 12 paths")
            try scene.break("csi-pvc-1", "DataLoss", "BadBlocks", "7 blocks")
            try PodFixture(name: "web", nodeName: "node-1", claimNames: ["csi-pvc-1"]).create(in: scene.server)
            let outcome = try await scene.run([])
            #expect(outcome.exitCode == 0)
            let lines = outcome.output.split(separator: "\n").map { $0.split(separator: " ").map(String.init) }
            #expect(lines.count == 3)
            #expect(
                lines.first == ["CLAIM", "STATUS", "REASON", "SINCE", "DRIVER", "PODS", "NODE", "MESSAGE"]
            )
            #expect(lines.map(\.first) == ["CLAIM", "csi-pvc-1", "csi-pvc"])
            #expect(lines[1][1...2] == ["DataLoss", "BadBlocks"])
            #expect(lines[1][4...] == ["hostpath.csi.k8s.io", "web", "node-1", "7", "blocks"])
            #expect(
                outcome.errors == """
                    2 of 3 claims in namespace default unhealthy.
                    hostpath.csi.k8s.io: 2 of 3 claims unhealthy (1 DataLoss, 1 Degraded)

                    """
            )
        }
    }

    @Test func `the other formats have the same claims`() async throws {
        try await withScene { scene in
            try scene.break("csi-pvc", "Degraded", "SlowIO", "3 of 12 paths")
            let json = try await scene.run(["-ojson"])
            let list = try JSONDecoder().decode(List.self, from: Data(json.output.utf8))
            #expect(list.items.map(\.name) == ["csi-pvc"])
            #expect(list.summary.unhealthy == 1)
            #expect(json.errors == "")
            let yaml = try await scene.run(["--output", "yaml"])
            #expect(yaml.output.contains("items:\n- namespace: \"default\"\n  name: \"csi-pvc\"\n"))
            let wide = try await scene.run(["-o=wide", "--no-headers"])
            #expect(wide.output.contains("healthStatus   3 of 12 paths\n"))
            #expect(!wide.output.contains("CLAIM"))
            let name = try await scene.run(["-o", "name"])
            #expect(name.output == "persistentvolumeclaim/csi-pvc\n")
        }
    }

    private struct List: Decodable {
        struct Item: Decodable {
            var name: String
        }
        struct Summary: Decodable {
            var unhealthy: Int
        }
        var items: [Item]
        var summary: Summary
    }

    // MARK: Selection

    @Test func `claims are selected by namespace, label and driver`() async throws {
        try await withScene { scene in
            try scene.server.create(["apiVersion": "v1", "kind": "Namespace", "metadata": ["name": "shop"]])
            var other = VolumeFixture(number: 7, driverName: "other.example")
            other.namespace = "shop"
            try other.create(in: scene.server)
            try scene.break("csi-pvc", "Degraded", "SlowIO", "")
            try scene.break("csi-pvc-7", namespace: "shop", "Inaccessible", "Gone", "")
            try scene.server.patch(
                kind: "PersistentVolumeClaim",
                namespace: "shop",
                name: "csi-pvc-7",
                ["metadata": ["labels": ["app": "db"]]]
            )
            func names(_ arguments: String...) async throws -> String {
                try await scene.run(arguments + ["-o", "name"]).output
            }
            let shop = "persistentvolumeclaim/csi-pvc-7\n"
            #expect(try await names("-n", "shop") == shop)
            #expect(try await names("-nshop", "-l", "app=db") == shop)
            #expect(try await names("-n", "shop", "-l", "app!=db") == "")
            #expect(try await names("-A", "--driver=other.example") == "--namespace=shop \(shop)")
            #expect(
                try await names("--all-namespaces")
                    == "--namespace=shop \(shop)--namespace=default persistentvolumeclaim/csi-pvc\n"
            )
        }
    }

    @Test func `the lists have pages, and events are selected by their reasons`() async throws {
        try await withScene { scene in
            _ = try await scene.run(["-A"])
            let lists = scene.server.journal.records.filter { $0.request.verb == .list }
            #expect(lists.allSatisfy { $0.request.query["limit"] == "1000" })
            let reasons = lists.filter { $0.request.resource == "events" }.compactMap {
                $0.request.query["fieldSelector"]
            }
            #expect(
                Set(reasons) == [
                    "reason=VolumeConditionAbnormal", "reason=VolumeConditionNormal", "reason=VolumeHealthUnknown",
                    "reason=VolumeHealthKnown", "reason=UnknownVolumeHealthCondition", "reason=VolumesVanished",
                    "reason=VolumesFound",
                ]
            )
            #expect(scene.server.journal.records.allSatisfy { $0.request.verb == .list })
        }
    }

    // MARK: Monitors and rights

    @Test func `without a monitor healthy claims are not called healthy`() async throws {
        try await withScene(isMonitored: false) { scene in
            let outcome = try await scene.run([])
            #expect(outcome.output == "")
            #expect(outcome.errors.hasPrefix("None of 3 claims in namespace default is reported as unhealthy.\n"))
            #expect(outcome.errors.contains("warning: No controller of hostpath.csi.k8s.io was found (3 claims): "))
            #expect(outcome.exitCode == 0)
        }
    }

    @Test func `the Lease of a controller shows that claims are monitored`() async throws {
        try await withScene { scene in
            let outcome = try await scene.run([])
            #expect(
                outcome == .init(exitCode: 0, output: "", errors: "All 3 claims in namespace default are healthy.\n")
            )
        }
    }

    @Test func `a user who may only list claims and events of a namespace sees what is unhealthy`() async throws {
        try await withScene { scene in
            try scene.abnormalEvent(on: "csi-pvc", "the path is gone")
            scene.allow(["persistentvolumeclaims", "events"])
            let outcome = try await scene.run(["--exit-code"])
            #expect(outcome.exitCode == 1)
            let cells = outcome.output.split(separator: "\n").last?.split(separator: " ").map(String.init) ?? []
            #expect(cells.prefix(3) == ["csi-pvc", "Degraded", "VolumeConditionAbnormal"])
            #expect(cells.dropFirst(4).prefix(3) == ["hostpath.csi.k8s.io", "<unknown>", "<unknown>"])
            let notes = outcome.errors.split(separator: "\n").filter { $0.hasPrefix("note: ") }
            // The event is old: it does not show that a monitor still runs.
            #expect(notes.count == 3, "\(outcome.errors)")
            #expect(outcome.errors.contains("resources: [\"persistentvolumes\"], verbs: [\"list\"]}"))
        }
    }

    @Test func `a user who may list claims alone is warned of what is not shown`() async throws {
        try await withScene { scene in
            scene.allow(["persistentvolumeclaims"])
            let outcome = try await scene.run([])
            #expect(outcome.errors.contains("None of 3 claims in namespace default is reported as unhealthy."))
            #expect(outcome.errors.contains("note: Conditions that only events report are not shown: "))
            #expect(outcome.errors.contains("note: A claim may be listed as healthy because nothing monitors it: "))
        }
    }

    @Test func `a user who may not list claims gets an error and the exit code 2`() async throws {
        try await withScene { scene in
            scene.allow([])
            let outcome = try await scene.run([], isProcess: true)
            #expect(outcome.exitCode == 2)
            #expect(outcome.output == "")
            #expect(outcome.errors.hasPrefix("csi-health-monitor: list persistentvolumeclaims default: 403: "))
        }
    }

    @Test func `without the right to list volumes, a driver's claims include those of an unknown driver`() async throws
    {
        try await withScene { scene in
            try scene.break("csi-pvc", "Degraded", "SlowIO", "")
            scene.allow(["persistentvolumeclaims", "events", "pods"])
            let outcome = try await scene.run(["--driver=hostpath.csi.k8s.io", "--exit-code"])
            #expect(outcome.exitCode == 1)
            #expect(outcome.output.contains("csi-pvc   Degraded"))
            let note = "note: 3 claims of an unknown driver may not be of hostpath.csi.k8s.io\n"
            #expect(outcome.errors.hasSuffix(note), "\(outcome.errors)")
        }
    }

    @Test func `a driver that does not exist is an error, with the names of those that do`() async throws {
        try await withScene { scene in
            let outcome = try await scene.run(["--driver=hostpath.csi.k8s"], isProcess: true)
            #expect(outcome.exitCode == 2)
            #expect(outcome.output == "")
            let message = """
                --driver: no claim or PersistentVolume has the driver "hostpath.csi.k8s"; drivers found: \
                hostpath.csi.k8s.io
                """
            #expect(outcome.errors.contains(message), "\(outcome.errors)")
        }
    }

    @Test func `a Lease that has lapsed is a warning beside the unhealthy claims`() async throws {
        try await withScene(sinceRenewal: 21 * 86_400 + 60) { scene in
            try scene.break("csi-pvc", "Degraded", "SlowIO", "")
            let outcome = try await scene.run([])
            #expect(outcome.output.contains("csi-pvc   Degraded"))
            let lapse = "the Lease external-health-monitor-leader-hostpath-csi-k8s-io was last renewed 21d ago"
            let warning = "warning: No controller of hostpath.csi.k8s.io is running (3 claims): \(lapse)."
            #expect(outcome.errors.contains(warning), "\(outcome.errors)")
        }
    }

    @Test(arguments: [("50ms", "0.05 seconds"), ("1", "1.0 seconds")])
    func `an API server that never responds is an error after the timeout`(
        timeout: String,
        text: String
    ) async throws {
        try await withScene { scene in
            scene.server.intercept { _ in .silence }
            let outcome = try await scene.run(["--request-timeout=\(timeout)"], isProcess: true)
            #expect(outcome.exitCode == 2)
            #expect(outcome.errors.contains("list persistentvolumeclaims default: "), "\(outcome.errors)")
            // On a busy machine connecting can take as long.
            let isConnecting = outcome.errors.lowercased().contains("connect")
            #expect(outcome.errors.contains("not complete after \(text)") || isConnecting, "\(outcome.errors)")
        }
    }

    // MARK: Exit codes and the plugin

    @Test func `the exit code is 1 only with the flag and if a claim is listed`() async throws {
        try await withScene { scene in
            #expect(try await scene.run(["--exit-code"], isProcess: true).exitCode == 0)
            try scene.break("csi-pvc", "Degraded", "SlowIO", "")
            #expect(try await scene.run([], isProcess: true).exitCode == 0)
            #expect(try await scene.run(["--exit-code"], isProcess: true).exitCode == 1)
            #expect(try await scene.run(["--no-such-flag"], isProcess: true).exitCode == 2)
        }
    }

    @Test func `the name of kubectl's plugin runs the command`() async throws {
        try await withScene { scene in
            try scene.break("csi-pvc", "Degraded", "SlowIO", "")
            let plugin = "\(scene.directory)/kubectl-volume_health"
            try FileManager.default.createSymbolicLink(atPath: plugin, withDestinationPath: try programPath())
            let path = "\(scene.directory):\(ProcessInfo.processInfo.environment["PATH"] ?? "")"
            let outcome = try await Tool.run(
                try Tool.find("kubectl", package: "kubernetes-client"),
                ["volume-health", "-o", "name", "--request-timeout=0"],
                environment: ["KUBECONFIG": scene.kubeconfig, "PATH": path]
            )
            #expect(outcome.output == "persistentvolumeclaim/csi-pvc\n", "\(outcome.errors)")
        }
    }

    /// On a terminal, which script(1) makes. NO_COLOR counts if it is not empty: https://no-color.org.
    @Test(
        arguments: [
            ([:], true), (["NO_COLOR": ""], true), (["NO_COLOR": "1"], false), (["TERM": "dumb"], false),
        ] as [([String: String], Bool)]
    )
    func `the status is colored on a terminal, unless the environment forbids it`(
        environment: [String: String],
        isColored: Bool
    ) async throws {
        try await withScene { scene in
            try scene.break("csi-pvc", "DataLoss", "BadBlocks", "")
            let variables = ["KUBECONFIG": scene.kubeconfig, "NO_COLOR": "", "TERM": "xterm", "SHELL": "/bin/bash"]
            let outcome = try await Tool.run(
                try Tool.find("script", package: "bsdutils"),
                ["--quiet", "--return", "--command", "\(try programPath()) status --request-timeout=0", "/dev/null"],
                environment: variables.merging(environment) { $1 }
            )
            #expect(outcome.exitCode == 0, "\(outcome.output)")
            #expect(outcome.output.contains("BadBlocks"), "\(outcome.output)")
            #expect(outcome.output.contains("\u{1B}[") == isColored, "\(outcome.output)")
        }
    }

    @Test func `without a terminal nothing is colored`() async throws {
        try await withScene { scene in
            try scene.break("csi-pvc", "DataLoss", "BadBlocks", "")
            let outcome = try await scene.run([], isProcess: true)
            #expect(outcome.output.contains("BadBlocks"))
            #expect(!outcome.output.contains("\u{1B}"))
        }
    }

    @Test func `the names are arguments for kubectl`() async throws {
        try await withScene { scene in
            try scene.break("csi-pvc", "Degraded", "SlowIO", "")
            try scene.break("csi-pvc-2", "Degraded", "SlowIO", "")
            let names = try await scene.run(["-A", "-o", "name"]).output
            let kubectl = try Tool.find("kubectl", package: "kubernetes-client")
            let outcome = try await Tool.run(
                try Tool.find("xargs", package: "findutils"),
                ["-L1", kubectl, "get", "-o", "name"],
                environment: ["KUBECONFIG": scene.kubeconfig],
                input: names
            )
            let expected = ["csi-pvc", "csi-pvc-2"].map { "persistentvolumeclaim/\($0)\n" }.joined()
            #expect(outcome.output == expected, "\(outcome.errors)")
        }
    }

    @Test(arguments: [
        (["-A", "-n", "shop"], "--namespace and --all-namespaces exclude each other"),
        (["-l", "app in db"], "unable to parse requirement"), (["explain"], "unexpected argument \"explain\""),
        (["explain", "a", "-w"], "explain takes only --namespace, --kubeconfig, --context and"),
        (["-w", "--exit-code"], "--exit-code has no effect with --watch"),
        (["--context=other"], "context \"other\" does not exist"),
        (["-o", "xml"], "The value 'xml' is invalid for '-o <format>'"),
        (["--request-timeout=-1s"], "write a duration such as 5s, 2m or 1h"),
    ])
    func `wrong flags are errors`(arguments: [String], message: String) async throws {
        try await withScene { scene in
            let outcome = try await scene.run(arguments, isProcess: true)
            #expect(outcome.exitCode == 2)
            #expect(outcome.errors.contains(message), "\(outcome.errors)")
        }
    }

    @Test func `the files in KUBECONFIG are merged, and those that do not exist are skipped`() async throws {
        try await withScene { scene in
            let first = "\(scene.directory)/first"
            let other =
                "current-context: other\ncontexts: [{name: other, context: {cluster: simulated, user: user, namespace: shop}}]"
            try Data(other.utf8).write(to: URL(fileURLWithPath: first))
            func run(_ arguments: String...) async throws -> String {
                let files = "\(scene.directory)/none:\(first):\(scene.kubeconfig)"
                let status = ["status", "--request-timeout=0"] + arguments
                return try await Tool.run(programPath(), status, environment: ["KUBECONFIG": files]).errors
            }
            #expect(try await run() == "No claims with CSI volumes found in namespace shop.\n")
            #expect(try await run("--context=simulated") == "All 3 claims in namespace default are healthy.\n")
        }
    }

    @Test(arguments: [["status"], ["status", "explain", "csi-pvc"]])
    func `a kubeconfig that does not exist is an error with its path`(arguments: [String]) async throws {
        func errors(_ flags: [String], _ kubeconfig: String) async throws -> String {
            let outcome = try await Tool.run(
                programPath(),
                arguments + flags,
                environment: ["KUBECONFIG": kubeconfig, "KUBERNETES_SERVICE_HOST": ""]
            )
            #expect(outcome.exitCode == 2)
            return outcome.errors
        }
        #expect(
            try await errors([], "/none/a")
                == "csi-health-monitor: KUBECONFIG names a file that does not exist or is empty: /none/a: "
                + "correct or unset it, or set --kubeconfig\n"
        )
        let message = "csi-health-monitor: --kubeconfig: cannot read /none/b: No such file or directory\n"
        #expect(try await errors(["--kubeconfig=/none/b"], "/none/a") == message)
    }

    // MARK: Explain

    @Test func `the story of a claim has its events, its pods and their nodes`() async throws {
        try await withScene { scene in
            try scene.break("csi-pvc", "DataLoss", "BadBlocks", "7 blocks")
            try scene.abnormalEvent(on: "csi-pvc", "DataLoss (BadBlocks): 7 blocks")
            try scene.abnormalEvent(on: "csi-pvc-1", "of another claim")
            try PodFixture(name: "web", nodeName: "node-1", claimNames: ["csi-pvc"]).create(in: scene.server)
            try NodeFixture(name: "node-1", readiness: .unknown).store(in: scene.server)
            let outcome = try await scene.run(["explain", "csi-pvc"])
            #expect(outcome.exitCode == 0)
            for line in [
                "Source:   status.healthStatus of the claim\n", "Driver:   hostpath.csi.k8s.io\n",
                "Monitor:  found\n", "Pods:     web, Running, on node node-1 (not Ready)\n", "The claim was created\n",
                "status.healthStatus became DataLoss (BadBlocks): 7 blocks\n",
                "recorded VolumeConditionAbnormal: DataLoss (BadBlocks): 7 blocks\n",
                "Node node-1 stopped being Ready (Unknown)\n",
            ] {
                #expect(outcome.output.contains(line), "\(line)\(outcome.output)")
            }
            #expect(!outcome.output.contains("another claim"))
        }
    }

    @Test func `a claim that does not exist cannot be explained`() async throws {
        try await withScene { scene in
            let outcome = try await scene.run(["explain", "none", "-n", "shop"], isProcess: true)
            #expect(outcome.exitCode == 2)
            #expect(outcome.errors.contains("persistentvolumeclaims \"none\" not found in namespace shop"))
        }
    }

    /// As `status --exit-code | head -1` with `pipefail`, and `status --exit-code > FILE` on a full disk.
    @Test func `the exit code does not depend on the reader, and output that cannot be written is an error`()
        async throws
    {
        try await withScene { scene in
            try scene.break("csi-pvc", "Degraded", "SlowIO", "3 of 12 paths")
            let status = try scene.status(["--exit-code"])
            let closed = StatusSink(output: { _ in throw StatusSink.Closed() }, errors: { _ in })
            #expect(try await status.run(explaining: nil, into: closed) == 1)
            let full = StatusSink(output: { _ in throw StatusSink.WriteError(code: ENOSPC) }, errors: { _ in })
            let error = await #expect(throws: StatusSink.WriteError.self) {
                try await status.run(explaining: nil, into: full)
            }
            #expect(error?.description == "cannot write to standard output: No space left on device")
        }
    }

    // MARK: Watch

    @Test func `a watch prints each change, and the recovery`() async throws {
        try await withScene { scene in
            let (lines, continuation) = AsyncStream.makeStream(of: String.self)
            let status = try scene.status(["-w", "-o", "json"])
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    let sink = StatusSink(output: { continuation.yield($0) }, errors: { _ in })
                    _ = try? await status.run(explaining: nil, into: sink)
                }
                var texts = lines.makeAsyncIterator()
                let first = await texts.next()
                #expect(first?.contains("\"items\": []") == true)
                try scene.break("csi-pvc", "Degraded", "SlowIO", "3 of 12 paths")
                let second = await texts.next()
                #expect(second?.hasPrefix(#"{"namespace":"default","name":"csi-pvc","status":"Degraded""#) == true)
                try scene.abnormalEvent(on: "csi-pvc-1", "the path is gone")
                let third = await texts.next()
                #expect(third?.contains(#""name":"csi-pvc-1","status":"Degraded""#) == true)
                try scene.server.patch(
                    kind: "PersistentVolumeClaim",
                    namespace: "default",
                    name: "csi-pvc",
                    ["status": ["healthStatus": .null]]
                )
                let last = await texts.next()
                #expect(last?.contains(#""name":"csi-pvc","status":"Healthy""#) == true)
                group.cancelAll()
            }
        }
    }
}
