// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Foundation
import HealthMonitorTestKit
import Testing

@testable import KubernetesClient

/// The agent's manifests: what they grant and mount, and what the program uses of it.
@Suite(.timeLimit(.minutes(50))) struct AgentManifestTests {
    /// With every rule.
    private static let readiness = "examples/agent-readiness"
    private static let sidecar = "examples/agent-sidecar"

    @Test(arguments: ["agent", readiness, sidecar])
    func `every binding is for the account of the DaemonSet's pods`(path: String) async throws {
        let manifests = try await Manifests(path)
        let daemonSet = try #require(manifests.objects("DaemonSet").first)
        let bindings = manifests.objects("ClusterRoleBinding")
        #expect(bindings.count == (path == Self.readiness ? 2 : 1))
        #expect(manifests.objects("RoleBinding").isEmpty)
        for binding in bindings {
            let subject = try #require(binding["subjects"]?.items.first)
            #expect(binding["subjects"]?.items.count == 1)
            #expect(subject["kind"]?.text == "ServiceAccount")
            #expect(subject["name"]?.text == daemonSet.pod["serviceAccountName"]?.text)
            #expect(subject["namespace"]?.text == daemonSet["metadata"]?["namespace"]?.text)
            let role = binding["roleRef"]?["name"]?.text
            #expect(manifests.objects("ClusterRole").contains { $0["metadata"]?["name"]?.text == role })
        }
        let account = try #require(manifests.objects("ServiceAccount").first)
        #expect(account["metadata"]?["name"]?.text == daemonSet.pod["serviceAccountName"]?.text)
    }

    @Test func `both forms have the same rules, and patching pods needs the component`() async throws {
        let rules = [
            PolicyRule(verbs: ["list", "watch"], apiGroups: [""], resources: ["pods"]),
            PolicyRule(verbs: ["get"], apiGroups: [""], resources: ["persistentvolumeclaims", "persistentvolumes"]),
            PolicyRule(verbs: ["create", "get", "patch"], apiGroups: [""], resources: ["events"]),
        ]
        let patch = PolicyRule(verbs: ["patch"], apiGroups: [""], resources: ["pods/status"])
        #expect(try await Manifests("agent").rules == rules)
        #expect(try await Manifests(Self.sidecar).rules == rules)
        #expect(try await Manifests(Self.readiness).rules == rules + [patch])
    }

    @Test(arguments: ["agent", sidecar])
    func `the container is root without capabilities, in a read-only file system`(path: String) async throws {
        let daemonSet = try #require(try await Manifests(path).objects("DaemonSet").first)
        let container = try #require(daemonSet.agent)
        let context = try #require(container["securityContext"])
        #expect(context["runAsUser"]?.text == "0")
        #expect(context["privileged"]?.text != "true")
        #expect(context["allowPrivilegeEscalation"]?.text == "false")
        #expect(context["readOnlyRootFilesystem"]?.text == "true")
        #expect(context["capabilities"]?["drop"]?.texts == ["ALL"])
        #expect(context["capabilities"]?["add"] == nil)
        let seccomp = context["seccompProfile"] ?? daemonSet.pod["securityContext"]?["seccompProfile"]
        #expect(seccomp?["type"]?.text == "RuntimeDefault")
        #expect(container["resources"]?["requests"]?["memory"] != nil)
        #expect(container["resources"]?["limits"]?["memory"] != nil)
        #expect(container["livenessProbe"]?["httpGet"]?["path"]?.text == "/livez")
        let node = try #require(container["env"]?.items.first)
        #expect(node["name"]?.text == "NODE_NAME")
        #expect(node["valueFrom"]?["fieldRef"]?["fieldPath"]?.text == "spec.nodeName")
        #expect(container["volumeMounts"]?.items.allSatisfy { $0["readOnly"]?.text == "true" } == true)
    }

    @Test func `the DaemonSet runs on all nodes and mounts two directories of the host where they are`() async throws {
        let daemonSet = try #require(try await Manifests("agent").objects("DaemonSet").first)
        let pod = daemonSet.pod
        #expect(pod["tolerations"]?.items.map { $0["operator"]?.text } == ["Exists"])
        #expect(pod["tolerations"]?.items.first?["key"] == nil)
        #expect(pod["priorityClassName"]?.text == "system-node-critical")
        #expect(pod["hostNetwork"] == nil && pod["hostPID"] == nil)
        #expect(daemonSet["spec"]?["updateStrategy"]?["rollingUpdate"]?["maxUnavailable"]?.text == "10%")
        let volumes = Dictionary(
            uniqueKeysWithValues: (pod["volumes"]?.items ?? []).map {
                ($0["name"]?.text ?? "", $0["hostPath"]?["path"]?.text ?? "not a hostPath")
            }
        )
        #expect(Set(volumes.values) == ["/var/lib/kubelet/plugins", "/var/lib/kubelet/plugins_registry"])
        let mounts = daemonSet.agent?["volumeMounts"]?.items ?? []
        #expect(mounts.count == 2)
        for mount in mounts { #expect(mount["mountPath"]?.text == volumes[mount["name"]?.text ?? ""]) }
        // Otherwise volumes that the kubelet unmounts stay in use.
        let plugins = mounts.first { $0["mountPath"]?.text == "/var/lib/kubelet/plugins" }
        #expect(plugins?["mountPropagation"]?.text == "HostToContainer")
        #expect(daemonSet.agent?["readinessProbe"]?["httpGet"]?["path"]?.text == "/readyz")
    }

    @Test func `the sidecar leaves the driver's containers and the selector as they are`() async throws {
        let daemonSet = try #require(try await Manifests(Self.sidecar).objects("DaemonSet").first)
        let names = daemonSet.pod["containers"]?.items.map { $0["name"]?.text }
        #expect(names == ["csi-health-monitor-agent", "hostpath", "node-driver-registrar"])
        #expect(daemonSet["metadata"]?["name"]?.text == "csi-hostpath-node")
        let selector = daemonSet["spec"]?["selector"]?["matchLabels"]?["app.kubernetes.io/name"]?.text
        #expect(selector == "csi-hostpath-node")
        let socket = daemonSet.agent?["volumeMounts"]?.items.first?["name"]?.text
        #expect(daemonSet.pod["volumes"]?.items.contains { $0["name"]?.text == socket } == true)
    }

    // MARK: The policy

    /// The fields of a pod's status: k8s.io/api 1.36, core/v1/generated.proto, message PodStatus; volumeHealth is of 1.37.
    private static let statusFields: Set = [
        "phase", "conditions", "message", "reason", "hostIP", "podIP", "startTime", "containerStatuses", "qosClass",
        "initContainerStatuses", "nominatedNodeName", "podIPs", "ephemeralContainerStatuses", "resize",
        "resourceClaimStatuses", "hostIPs", "observedGeneration", "extendedResourceClaimStatus", "allocatedResources",
        "resources", "nodeAllocatableResourceClaimStatuses", "volumeHealth",
    ]

    @Test func `the policy compares every field of a pod's status but the conditions`() async throws {
        let policy = try #require(try await Manifests(Self.readiness).objects("ValidatingAdmissionPolicy").first)
        let expressions = policy["spec"]?["validations"]?.items.compactMap { $0["expression"]?.text } ?? []
        #expect(expressions.count == 6)
        let terms = expressions.flatMap { $0.components(separatedBy: " && ") }
        let compared = terms.compactMap { term in
            term.wholeMatch(of: /object\.status\.\?(\w+) == oldObject\.status\.\?(\w+)/).flatMap {
                $0.1 == $0.2 ? String($0.1) : nil
            }
        }
        #expect(Set(compared) == Self.statusFields.subtracting(["conditions"]))
        #expect(compared.count == Set(compared).count)
        for field in ["labels", "annotations", "finalizers"] {
            #expect(terms.contains("object.metadata.?\(field) == oldObject.metadata.?\(field)"))
        }
    }

    @Test func `the policy is for the agent's account, its own node and its own condition`() async throws {
        let manifests = try await Manifests(Self.readiness)
        let account = try #require(manifests.objects("ServiceAccount").first?["metadata"]?["name"]?.text)
        let policy = try #require(manifests.objects("ValidatingAdmissionPolicy").first)
        let spec = try #require(policy["spec"])
        #expect(spec["failurePolicy"]?.text == "Fail")
        let rule = try #require(spec["matchConstraints"]?["resourceRules"]?.items.first)
        #expect(rule["resources"]?.texts == ["pods/status"])
        #expect(rule["operations"]?.texts == ["UPDATE"])
        let match = try #require(spec["matchConditions"]?.items.first?["expression"]?.text)
        #expect(match.contains(#"endsWith("\#(account)")"#))
        let expressions = spec["validations"]?.items.compactMap { $0["expression"]?.text } ?? []
        let node = #"request.userInfo.extra[?"authentication.kubernetes.io/node-name"].orValue([])"#
        #expect(expressions.contains(#"\#(node) == [object.spec.?nodeName.orValue("-")]"#))
        let others = #"filter(c, !c.type.endsWith("/volumes-healthy"))"#
        #expect(expressions.contains("variables.conditions.\(others) == variables.oldConditions.\(others)"))

        let binding = try #require(manifests.objects("ValidatingAdmissionPolicyBinding").first)
        #expect(binding["spec"]?["policyName"]?.text == policy["metadata"]?["name"]?.text)
        #expect(binding["spec"]?["validationActions"]?.texts == ["Deny"])
    }

    /// A policy that does not apply to an account of the bindings would refuse it nothing.
    @Test(arguments: [
        ["resources": ["examples/agent-readiness"]],
        ["resources": ["agent"], "components": ["components/readiness-condition"]],
        ["resources": ["examples/agent-sidecar"], "components": ["components/readiness-condition"]],
    ])
    func `with a prefix and a namespace, the policy is for the account of each binding`(
        lists: [String: [String]]
    ) async throws {
        let manifests = try await Self.render(lists, "namePrefix: x-\nnamespace: storage\n")
        let policy = try #require(manifests.objects("ValidatingAdmissionPolicy").first)
        let match = try #require(policy["spec"]?["matchConditions"]?.items.first?["expression"]?.text)
        let name = "request.userInfo.username"
        let expression = /(.+)\.startsWith\("(.+)"\) && (.+)\.endsWith\("(.+)"\)/
        let (_, first, start, second, end) = try #require(match.wholeMatch(of: expression)).output
        #expect(first == name && second == name)
        let bindings = manifests.objects("ClusterRoleBinding")
        #expect(bindings.count == 2)
        for subject in bindings.compactMap({ $0["subjects"]?.items.first }) {
            let account = try #require(subject["name"]?.text)
            #expect(account.hasPrefix("x-"))
            #expect(subject["namespace"]?.text == "storage")
            #expect("system:serviceaccount:storage:\(account)".hasPrefix(start))
            #expect(account.hasSuffix(end))
        }
        let binding = try #require(manifests.objects("ValidatingAdmissionPolicyBinding").first)
        #expect(binding["spec"]?["policyName"]?.text == policy["metadata"]?["name"]?.text)
    }

    // MARK: Several installations

    @Test func `sidecars of DaemonSets with one name in two namespaces share the role alone`() async throws {
        func names(_ namespace: String) async throws -> Set<String> {
            let manifests = try await Self.render(
                ["components": ["components/agent-sidecar", "components/readiness-condition"]],
                "resources: [daemonset.yaml]\n",
                daemonSetNamespace: namespace
            )
            let clusterScoped = manifests.objects.filter { $0["kind"]?.text != "DaemonSet" }
            return Set(clusterScoped.map { "\($0["kind"]?.text ?? "") \($0["metadata"]?["name"]?.text ?? "")" })
        }
        let (one, other) = try await (names("one"), names("other"))
        #expect(
            one.intersection(other) == [
                "ClusterRole csi-health-monitor-agent", "ClusterRole csi-health-monitor-agent-readiness",
            ]
        )
        #expect(one.contains("ClusterRoleBinding csi-health-monitor-agent:one.csi-hostpath-node"))
        #expect(one.count == 6)
    }

    /// Renders a kustomization of its own directory.
    /// - Parameters:
    ///   - lists: Its fields with paths below manifests/.
    ///   - fields: Its other fields.
    ///   - daemonSetNamespace: The namespace of daemonset.yaml, the example's in the kustomization's directory.
    private static func render(
        _ lists: [String: [String]],
        _ fields: String,
        daemonSetNamespace: String = ""
    ) async throws -> Manifests {
        let manifests = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appending(path: "manifests")
        let directory = URL(fileURLWithPath: "/tmp/kustomization-\(UUID().uuidString.prefix(8))")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: false)
        defer { try? FileManager.default.removeItem(at: directory) }
        // Kustomize accepts no absolute paths.
        let listed = lists.map { field, paths in
            "\(field):\n" + paths.map { "  - ../..\(manifests.path)/\($0)\n" }.joined()
        }
        try (fields + listed.joined()).write(
            to: directory.appending(path: "kustomization.yaml"),
            atomically: true,
            encoding: .utf8
        )
        let daemonSet = try String(
            contentsOf: manifests.appending(path: "\(sidecar)/daemonset.yaml"),
            encoding: .utf8
        )
        try daemonSet.replacing("namespace: csi-hostpath\n", with: "namespace: \(daemonSetNamespace)\n").write(
            to: directory.appending(path: "daemonset.yaml"),
            atomically: true,
            encoding: .utf8
        )
        let up = Array(repeating: "..", count: manifests.pathComponents.count - 1).joined(separator: "/")
        return try await Manifests(up + directory.path)
    }

    // MARK: Use

    /// Runs the program with the arguments of the manifest, under the rules of the manifest, until it has used each of
    /// them. A condition that changes raises the count of its event, and a pod that names the condition gets it.
    @Test func `no rule is missing and no rule is unused`() async throws {
        let manifests = try await Manifests(Self.readiness)
        let rules = manifests.rules
        let arguments = try #require(manifests.objects("DaemonSet").first?.agent?["args"]?.texts)
        try await AgentScene.set(rules: rules) { scene in
            try await scene.run(arguments) {
                var reason = 0
                while !rules.allSatisfy(scene.uses) {
                    reason += 1
                    scene.driver.set(
                        nodeHealth: [.init(status: 2, reason: "Reason\(reason)")],
                        ofVolume: AgentScene.unhealthy.handle
                    )
                    let calls = scene.driver.journal.calls("NodeGetVolumeHealth").count
                    await scene.driver.journal.wait(for: "NodeGetVolumeHealth", count: calls + 4)
                }
            }
            #expect(scene.server.journal.records.filter { $0.code == 403 }.isEmpty)
        }
    }
}

extension YAMLNode {
    /// The pod of a DaemonSet.
    fileprivate var pod: YAMLNode { self["spec"]?["template"]?["spec"] ?? self }

    /// The agent's container.
    fileprivate var agent: YAMLNode? {
        pod["containers"]?.items.first { $0["args"]?.texts.first == "agent" }
    }
}

/// A node with a registered driver, a pod with an unhealthy volume and a pod with a healthy one that names the readiness
/// condition.
private struct AgentScene: Sendable {
    let directory: String
    let server: SimulatedAPIServer
    let driver: SimulatedDriver

    static let unhealthy = VolumeFixture(number: 0)
    private static let healthy = VolumeFixture(number: 1)
    private static let token = "agent"

    static func set(rules: [PolicyRule], _ body: (AgentScene) async throws -> Void) async throws {
        let directory = "/tmp/am-\(UUID().uuidString.prefix(8))"
        for name in ["plugins", "plugins_registry"] {
            try FileManager.default.createDirectory(atPath: "\(directory)/\(name)", withIntermediateDirectories: true)
        }
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let driver = SimulatedDriver(socket: "\(directory)/plugins/csi.sock", configuration: .healthNode)
        let registration = SimulatedPluginRegistration(
            socket: "\(directory)/plugins_registry/reg.sock",
            info: .init(name: driver.configuration.name, endpoint: driver.socket)
        )
        var configuration = SimulatedAPIServer.Configuration()
        configuration.users[token] = APIUser(name: "csi-health-monitor-agent", rules: rules)
        try await SimulatedAPIServer.withServer(configuration: configuration) { server in
            // Without streaming lists, the verb list is used too.
            server.featureGates.remove(.watchList)
            try server.writeKubeconfig(to: "\(directory)/kubeconfig", .token(token))
            for volume in [unhealthy, healthy] { try volume.create(in: server) }
            try PodFixture(name: "unhealthy", nodeName: "n1", claimNames: [unhealthy.claimName]).create(in: server)
            var pod = PodFixture(name: "healthy", nodeName: "n1", claimNames: [healthy.claimName])
            pod.readinessGates = ["\(driver.configuration.name)/volumes-healthy"]
            try pod.create(in: server)
            driver.set(nodeHealth: [], ofVolume: healthy.handle)
            try driver.start()
            try registration.start()
            do {
                try await body(AgentScene(directory: directory, server: server, driver: driver))
            } catch {
                await registration.stop()
                await driver.stop()
                throw error
            }
            await registration.stop()
            await driver.stop()
        }
    }

    /// Runs the program while `body` runs, with the paths and the cluster of this scene.
    func run(_ arguments: [String], _ body: @escaping @Sendable () async throws -> Void) async throws {
        let fixed = arguments.filter { !$0.hasPrefix("--kubelet-root-path") && !$0.hasPrefix("--http-endpoint") }
        let tests = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        let program = URL(fileURLWithPath: tests).deletingLastPathComponent().appending(path: "csi-health-monitor").path
        _ = try await Tool.run(
            program,
            fixed + [
                "--kubelet-root-path=\(directory)", "--kubeconfig=\(directory)/kubeconfig", "--monitor-interval=1s",
            ],
            environment: ["NODE_NAME": "n1"]
        ) { _ in try await body() }
    }

    /// Whether every verb of the rule was used with each of its resources.
    func uses(_ rule: PolicyRule) -> Bool {
        let requests = server.journal.records.map(\.request)
        return rule.verbs.allSatisfy { verb in
            rule.resources.allSatisfy { resource in
                var one = rule
                (one.verbs, one.resources) = ([verb], [resource])
                return requests.contains(where: one.allows)
            }
        }
    }
}
