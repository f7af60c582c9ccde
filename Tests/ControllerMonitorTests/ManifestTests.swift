// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import ControllerMonitor
import HealthMonitorTestKit
import HealthRuntime
import Testing

@testable import KubernetesClient

/// What the manifests grant, compared with what the monitor requests.
@Suite(.timeLimit(.minutes(50))) struct ManifestTests {
    @Test(arguments: ["base", "examples/hostpath", "examples/node-deployment"])
    func `the kustomization builds`(path: String) async throws {
        let kinds = Set(try await Manifests(path).objects.compactMap { $0["kind"]?.text })
        #expect(kinds.isSuperset(of: ["ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"]))
    }

    @Test func `every binding is for the monitor's ServiceAccount`() async throws {
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
        #expect(rules.count == 9)
        for rule in rules {
            #expect(!(rule.verbs + rule.apiGroups + rule.resources).contains("*"))
        }
    }

    @Test func `the container is restricted`() async throws {
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

    /// Runs a monitor with every feature enabled, under the example's rules, until it has used each of them.
    @Test func `no rule is missing and no rule is unused`() async throws {
        let rules = try await Manifests.example.rules
        let volume = VolumeFixture(number: 0)
        try await Scene.set { scene in
            var configuration = MonitorConfiguration(driverName: "hostpath.csi.k8s.io", identity: "pod-0")
            configuration.volumeSecrets = .controllerPublish
            configuration.nodeFailureDuration = .seconds(300)
            scene.driver.configuration.controllerCapabilities = SimulatedDriver.Configuration.healthCapabilities
            try scene.prepareForEverything(volume)
            let server = scene.server
            // Without streaming lists, the verb list is used too.
            server.featureGates.remove(.watchList)
            // Another client changes the claim during the first write of its status.
            server.intercept { request in
                guard request.verb == .patch, request.subresource == "status" else { return nil }
                server.intercept(nil)
                server.touchClaim(named: volume.claimName)
                return nil
            }
            try await scene.monitor(configuration, leaseNamespace: "csi-hostpath") { _ in
                while true {
                    let unused = rules.filter { !scene.uses($0) }
                    if unused.isEmpty { break }
                    if unused.map(\.resources) == [["csidrivers"]] {
                        // The driver's list no longer has any of the volumes.
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
    /// Sets up an unhealthy volume with a Secret.
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

    /// Whether every verb of the rule was used with each of its resources.
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
