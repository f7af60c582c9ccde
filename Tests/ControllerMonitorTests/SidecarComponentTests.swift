// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Foundation
import HealthMonitorTestKit
import Testing

@testable import KubernetesClient

/// components/sidecar and the other manifests for drivers that are installed already.
@Suite(.timeLimit(.minutes(50))) struct SidecarComponentTests {
    private static let examples = [
        "examples/sidecar-statefulset", "examples/sidecar-ehm", "examples/sidecar-host-network",
    ]

    @Test func `the manifests render, match the schema of the API, and leave the drivers' workloads as they are`()
        async throws
    {
        let outcome = try await Self.check(Self.root.appending(path: "manifests"))
        #expect(outcome.exitCode == 0, "\(outcome.errors)")
    }

    /// One fault for each of the script's checks, all in one copy of the manifests.
    @Test func `scripts/manifests-test.sh finds each fault`() async throws {
        let copy = FileManager.default.temporaryDirectory.appending(path: "manifests-\(UUID().uuidString.prefix(8))")
        try FileManager.default.copyItem(at: Self.root.appending(path: "manifests"), to: copy)
        defer { try? FileManager.default.removeItem(at: copy) }
        func replace(_ text: String, with other: String, in file: String) throws {
            let file = copy.appending(path: file)
            let contents = try String(contentsOf: file, encoding: .utf8)
            try #require(contents.contains(text), "\(file.path) has no \(text)")
            try contents.replacing(text, with: other).write(to: file, atomically: true, encoding: .utf8)
        }
        try replace("replicas: 3", with: "replicas: \"3\"", in: "examples/hostpath/controller.yaml")
        try replace("containerPort:", with: "port:", in: "components/sidecar/container.yaml")
        try replace("name: plugin-dir", with: "name: plugins", in: "examples/sidecar-host-network/health-monitor.yaml")
        try replace("controller.sock", with: "other.sock", in: "examples/sidecar-host-network/health-monitor.yaml")
        try replace(
            "csi-external-health",
            with: "my-external-health",
            in: "examples/sidecar-ehm/driver/controller.yaml"
        )
        try replace(
            "name: csi-example-controller",
            with: "name: other",
            in: "examples/sidecar-ehm/rbac/kustomization.yaml"
        )
        try replace(
            "components:\n",
            with: "labels:\n  - pairs: {team: storage}\n    includeSelectors: true\ncomponents:\n",
            in: "examples/sidecar-statefulset/kustomization.yaml"
        )
        try replace(
            "namePrefix: example-block-",
            with: "namePrefix: example-",
            in: "examples/sidecar-host-network/rbac/kustomization.yaml"
        )

        let outcome = try await Self.check(copy)
        #expect(outcome.exitCode == 1)
        for problem in [
            "examples/hostpath: Deployment csi-hostpath-controller.spec.replicas is no number",
            "ports[0] has no field port",
            "ports[0].containerPort is missing",
            "mounts the volume plugins, which does not exist",
            "examples/sidecar-host-network: the socket is not the plugin's",
            "examples/sidecar-ehm: still has the container my-external-health-monitor-controller",
            "examples/sidecar-ehm: a ClusterRoleBinding is not for the pod's service account",
            "examples/sidecar-statefulset: the selector has changed",
            "examples/sidecar-statefulset: the pod's labels have changed",
            "two kustomizations have ClusterRoleBinding  example-csi-health-monitor",
            "examples/sidecar-ehm: beside the other drivers csi-example/other cannot list persistentvolumes",
        ] {
            #expect(outcome.errors.contains(problem))
        }
    }

    @Test(arguments: examples)
    func `the container has what a controller's pod must allow, and no more`(path: String) async throws {
        let container = try #require(try await Manifests(path).healthMonitor)
        #expect(container["image"]?.text == "csi-health-monitor")
        #expect(container["terminationMessagePolicy"]?.text == "FallbackToLogsOnError")
        #expect(container["resources"]?["requests"]?["memory"] != nil)
        #expect(container["resources"]?["limits"]?["memory"] != nil)
        #expect(container["volumeMounts"]?.items.map { $0["readOnly"]?.text } == ["true"])
        let variables = container["env"]?.items.compactMap { $0["name"]?.text } ?? []
        #expect(Set(variables) == ["ADDRESS", "POD_NAME", "POD_NAMESPACE", "NODE_NAME"])
        let context = try #require(container["securityContext"])
        #expect(context["privileged"]?.text == "false")
        #expect(context["allowPrivilegeEscalation"]?.text == "false")
        #expect(context["readOnlyRootFilesystem"]?.text == "true")
        #expect(context["capabilities"]?["drop"]?.texts == ["ALL"])
        #expect(context["seccompProfile"]?["type"]?.text == "RuntimeDefault")
        // Root can only be refused where the plugin is not root.
        #expect((context["runAsUser"]?.text == "0") == (context["runAsNonRoot"]?.text != "true"))
    }

    @Test(arguments: ["components/pod-monitor/pod-monitor.yaml", "components/service-monitor/service-monitor.yaml"])
    func `a monitor scrapes the container's port and keeps the labels of claims`(path: String) async throws {
        let file = Self.root.appending(path: "manifests/\(path)")
        let monitor = try YAMLParser.parse(Array(Data(contentsOf: file)))
        let endpoints = monitor["spec"]?["podMetricsEndpoints"] ?? monitor["spec"]?["endpoints"]
        let endpoint = try #require(endpoints?.items.first)
        #expect(endpoint["honorLabels"]?.text == "true")
        let container = try #require(try await Manifests("examples/sidecar-ehm").healthMonitor)
        let port = try #require(container["ports"]?.items.first)
        #expect(endpoint["port"]?.text == port["name"]?.text)
        let arguments = try #require(container["args"]?.texts)
        #expect(arguments.contains("--http-endpoint=:\(try #require(port["containerPort"]?.text))"))
    }

    @Test func `the PodMonitor scrapes both forms of the agent, with the node that the alerts name`() async throws {
        let file = Self.root.appending(path: "manifests/components/pod-monitor/pod-monitor.yaml")
        let monitor = try YAMLParser.parse(Array(Data(contentsOf: file)))
        let endpoints = try #require(monitor["spec"]?["podMetricsEndpoints"]?.items)
        for path in ["agent", "examples/agent-sidecar"] {
            let daemonSet = try #require(try await Manifests(path).objects("DaemonSet").first)
            let ports = daemonSet["spec"]?["template"]?["spec"]?["containers"]?.items.first?["ports"]?.items
            let name = try #require(ports?.first?["name"]?.text)
            #expect(endpoints.filter { $0["port"]?.text == name }.count == 1)
        }
        for endpoint in endpoints {
            #expect(endpoint["honorLabels"]?.text == "true")
            let relabeling = try #require(endpoint["relabelings"]?.items.first)
            #expect(relabeling["sourceLabels"]?.texts == ["__meta_kubernetes_pod_node_name"])
            #expect(relabeling["targetLabel"]?.text == "node")
        }
    }

    /// Runs the program with the example's arguments and the variables that the kubelet would set.
    @Test(arguments: examples)
    func `the program accepts the container's arguments and reports an unhealthy volume`(path: String) async throws {
        let arguments = try #require(try await Manifests(path).healthMonitor?["args"]?.texts)
        try await Scene.set { scene in
            let (server, driver) = (scene.server, scene.driver)
            driver.configuration.controllerCapabilities = SimulatedDriver.Configuration.healthCapabilities
            let volume = VolumeFixture(number: 0)
            try volume.create(in: server)
            driver.set(health: [.init(status: 1, reason: "Slow")], ofVolume: volume.handle)
            let kubeconfig = "\(driver.socket).kubeconfig"
            defer { try? FileManager.default.removeItem(atPath: kubeconfig) }
            try server.writeKubeconfig(to: kubeconfig)
            // The kubelet replaces variables in arguments. The port may be in use on this machine.
            let replaced = arguments.filter { !$0.hasPrefix("--http-endpoint") }
                .map { $0.replacing("$(ADDRESS)", with: driver.socket) }
            _ = try await Tool.run(
                Self.program,
                replaced + ["--kubeconfig=\(kubeconfig)"],
                environment: ["POD_NAME": "pod-0", "POD_NAMESPACE": "default", "NODE_NAME": "node-0"]
            ) { _ in
                while true {
                    let events = try server.objects(kind: "Event")
                    if events.contains(where: { $0["reason"] == "VolumeConditionAbnormal" }) { break }
                    await pollingPause()
                }
            }
        }
    }

    // MARK: Files

    private static var root: URL {
        URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
    }

    private static var program: String {
        get throws {
            let tests = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
            return URL(fileURLWithPath: tests).deletingLastPathComponent().appending(path: "csi-health-monitor").path
        }
    }

    private static func check(_ manifests: URL) async throws -> Tool.Outcome {
        try await Tool.run(root.appending(path: "scripts/manifests-test.sh").path, [manifests.path])
    }
}

extension Manifests {
    /// The container that components/sidecar adds.
    fileprivate var healthMonitor: YAMLNode? {
        (objects("Deployment") + objects("StatefulSet")).lazy
            .compactMap { $0["spec"]?["template"]?["spec"]?["containers"]?.items }
            .joined()
            .first { $0["name"]?.text == "csi-health-monitor" }
    }
}
