// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import ControllerMonitor
import HealthMonitorTestKit
import HealthRuntime
import Testing

@testable import KubernetesClient

/// What manifests/ grant, held against what the monitor asks for.
@Suite(.timeLimit(.minutes(30))) struct ManifestTests {
    @Test(arguments: ["base", "examples/hostpath", "examples/node-deployment"])
    func `a kustomization builds`(path: String) async throws {
        let kinds = Set(try await Manifests(path).objects.compactMap { $0["kind"]?.text })
        #expect(kinds.isSuperset(of: ["ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"]))
    }

    @Test func `every binding binds our service account`() async throws {
        let manifests = try await Manifests.example
        let account = try #require(manifests.objects("ServiceAccount").first)
        let bindings = manifests.objects("RoleBinding") + manifests.objects("ClusterRoleBinding")
        #expect(bindings.count == 4)
        for binding in bindings {
            let subject = try #require(binding["subjects"]?.items.first)
            #expect(subject["name"]?.text == account["metadata"]?["name"]?.text)
            #expect(subject["namespace"]?.text == account["metadata"]?["namespace"]?.text)
            let role = try #require(binding["roleRef"])
            let roles = manifests.objects(role["kind"]?.text ?? "")
            #expect(roles.contains { $0["metadata"]?["name"]?.text == role["name"]?.text })
        }
    }

    @Test func `no rule has a wildcard`() async throws {
        let rules = try await Manifests.example.rules
        #expect(rules.count == 8)
        for rule in rules {
            #expect(!(rule.verbs + rule.apiGroups + rule.resources).contains("*"))
        }
    }

    @Test func `the container is confined`() async throws {
        let example = try await Manifests.example
        let deployment = try #require(example.objects("Deployment").first)
        #expect(deployment["spec"]?["replicas"]?.text == "3")
        let pod = try #require(deployment["spec"]?["template"]?["spec"])
        #expect(pod["securityContext"]?["runAsNonRoot"]?.text == "true")
        #expect(pod["securityContext"]?["seccompProfile"]?["type"]?.text == "RuntimeDefault")
        let container = try #require(
            pod["containers"]?.items.first { $0["name"]?.text == "csi-health-monitor" }
        )
        let context = try #require(container["securityContext"])
        #expect(context["allowPrivilegeEscalation"]?.text == "false")
        #expect(context["readOnlyRootFilesystem"]?.text == "true")
        #expect(context["capabilities"]?["drop"]?.texts == ["ALL"])
        #expect(container["resources"]?["requests"]?["memory"] != nil)
        #expect(container["resources"]?["limits"]?["memory"] != nil)
        #expect(container["livenessProbe"]?["httpGet"]?["path"]?.text == "/healthz/leader-election")
        #expect(container["readinessProbe"]?["httpGet"]?["path"]?.text == "/readyz")
        #expect(container["args"]?.texts.contains("--leader-election") == true)
    }

    /// A monitor with everything switched on, under the example's rules, until it has used each of them.
    @Test func `no rule is missing and none is unused`() async throws {
        let rules = try await Manifests.example.rules
        let volume = VolumeFixture(number: 0)
        try await Scene.set { scene in
            var configuration = MonitorConfiguration(driverName: "hostpath.csi.k8s.io", identity: "pod-0")
            configuration.volumeSecrets = .controllerPublish
            configuration.nodeFailureDuration = .seconds(300)
            scene.driver.configuration.controllerCapabilities = SimulatedDriver.Configuration.healthCapabilities
            try scene.prepareForEverything(volume)
            let server = scene.server
            // Where lists are not streamed, they need a rule of their own.
            server.featureGates.remove(.watchList)
            // The first write of a status meets a change by somebody else.
            server.intercept { request in
                guard request.verb == .patch, request.subresource == "status" else { return nil }
                server.intercept(nil)
                _ = try? server.patch(
                    kind: "PersistentVolumeClaim",
                    namespace: "default",
                    name: volume.claimName,
                    ["metadata": ["annotations": ["touched": "yes"]]]
                )
                return nil
            }
            try await scene.monitor(configuration, leaseNamespace: "csi-hostpath") { _ in
                while true {
                    let unused = rules.filter { !scene.uses($0) }
                    if unused.isEmpty { break }
                    if unused.map(\.resources) == [["csidrivers"]] {
                        // A driver whose list has none of its volumes any more.
                        scene.driver.configuration.controllerCapabilities = [3, 11]
                        scene.driver.volumes = []
                    }
                    // The count of the event is raised after half an hour.
                    scene.clock.advance(by: .seconds(5))
                    await pollingPause()
                }
            }
            let refused = scene.server.journal.records.filter { $0.code == 403 }.map {
                "\($0.request.verb?.rawValue ?? "?") \($0.request.resource)/\($0.request.subresource)"
            }
            #expect(refused.isEmpty)
        }
    }
}

extension Scene {
    /// A sick volume with a Secret.
    func prepareForEverything(_ volume: VolumeFixture) throws {
        try server.create(["apiVersion": "v1", "kind": "Namespace", "metadata": ["name": "csi-hostpath"]])
        try server.create([
            "apiVersion": "v1", "kind": "Secret", "metadata": ["namespace": "csi-hostpath", "name": "array"],
            "data": ["password": "b2Ygb25l"],
        ])
        try volume.create(in: server)
        let other = VolumeFixture(number: 1)
        try other.create(in: server)
        for name in [volume.volumeName, other.volumeName] {
            try server.patch(
                kind: "PersistentVolume",
                name: name,
                ["spec": ["csi": ["controllerPublishSecretRef": ["namespace": "csi-hostpath", "name": "array"]]]]
            )
        }
        driver.set(health: [.init(status: 1, reason: "Slow")], ofVolume: volume.handle)
    }

    /// Whether every verb of the rule was used with every resource of it.
    func uses(_ rule: PolicyRule) -> Bool {
        let requests = server.journal.records.map(\.request)
        return rule.verbs.allSatisfy { verb in
            rule.resources.allSatisfy { resource in
                var one = rule
                one.verbs = [verb]
                one.resources = [resource]
                return requests.contains(where: one.allows)
            }
        }
    }
}
