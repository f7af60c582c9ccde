// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Foundation
import Testing

@testable import HealthMonitorTestKit

/// The server with a client that is not ours.
@Suite(.timeLimit(.minutes(50))) struct KubectlTests {
    static let manifests: [(resource: String, manifest: JSONValue)] = [
        (
            "persistentvolume/pv-1",
            [
                "apiVersion": "v1", "kind": "PersistentVolume", "metadata": ["name": "pv-1"],
                "spec": [
                    "capacity": ["storage": "1Gi"], "accessModes": ["ReadWriteOnce"], "storageClassName": "csi-sc",
                    "csi": ["driver": "hostpath.csi.k8s.io", "volumeHandle": "vol-1"],
                    "claimRef": ["namespace": "default", "name": "csi-pvc"],
                ],
            ]
        ),
        (
            "persistentvolumeclaim/csi-pvc",
            [
                "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": ["name": "csi-pvc"],
                "spec": [
                    "accessModes": ["ReadWriteOnce"], "resources": ["requests": ["storage": "1Gi"]],
                    "storageClassName": "csi-sc", "volumeName": "pv-1",
                ],
            ]
        ),
        (
            "event/csi-pvc.1",
            [
                "apiVersion": "v1", "kind": "Event", "metadata": ["name": "csi-pvc.1"], "reason": "Test",
                "involvedObject": ["kind": "PersistentVolumeClaim", "name": "csi-pvc", "namespace": "default"],
            ]
        ),
        (
            "lease.coordination.k8s.io/leader",
            [
                "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": ["name": "leader"],
                "spec": ["holderIdentity": "host-1", "leaseDurationSeconds": 15],
            ]
        ),
        ("namespace/team", ["apiVersion": "v1", "kind": "Namespace", "metadata": ["name": "team"]]),
        (
            "pod/web-0",
            [
                "apiVersion": "v1", "kind": "Pod", "metadata": ["name": "web-0"],
                "spec": [
                    "containers": [["name": "app", "image": "pause"]], "nodeName": "worker",
                    "volumes": [["name": "data", "persistentVolumeClaim": ["claimName": "csi-pvc"]]],
                ],
            ]
        ),
        ("node/worker", ["apiVersion": "v1", "kind": "Node", "metadata": ["name": "worker"]]),
        (
            "secret/credentials",
            [
                "apiVersion": "v1", "kind": "Secret", "metadata": ["name": "credentials"],
                "data": ["password": "aHVudGVyMg=="],
            ]
        ),
    ]

    @Test(arguments: manifests) func `objects are created, shown, changed and deleted`(
        resource: String,
        manifest: JSONValue
    ) async throws {
        try await SimulatedAPIServer.withServer { server in
            try await Kubectl.with(server) { kubectl in
                #expect(try await kubectl("create", "-f", "-", input: manifest.description) == "\(resource) created\n")
                #expect(try await kubectl("get", resource, "-o", "name") == "\(resource)\n")
                _ = try await kubectl("patch", resource, "-p", #"{"metadata":{"labels":{"patched":"yes"}}}"#)
                _ = try await kubectl("label", resource, "labelled=yes")
                _ = try await kubectl("annotate", resource, "annotated=yes")
                let described = try await kubectl("describe", resource)
                for text in ["patched=yes", "labelled=yes", "annotated: yes"] { #expect(described.contains(text)) }

                let kind = try #require(manifest["kind"]?.string)
                let name = try #require(manifest["metadata", "name"]?.string)
                let isNamespaced = try #require(ResourceType.find(kind: kind)).isNamespaced
                let namespace = isNamespaced ? "default" : ""
                let stored = try server.object(kind: kind, namespace: namespace, name: name)
                #expect(stored?["metadata", "labels"] == ["patched": "yes", "labelled": "yes"])
                #expect(stored?["metadata", "annotations"] == ["annotated": "yes"])

                _ = try await kubectl("delete", resource)
                #expect(try server.object(kind: kind, namespace: namespace, name: name) == nil)
                let error = await #expect(throws: Kubectl.Failure.self) { _ = try await kubectl("get", resource) }
                #expect(error?.description.contains("(NotFound)") == true)
            }
        }
    }

    @Test(arguments: manifests) func `a dry run changes nothing`(resource: String, manifest: JSONValue) async throws {
        try await SimulatedAPIServer.withServer { server in
            try await Kubectl.with(server) { kubectl in
                let created = try await kubectl("apply", "--dry-run=server", "-f", "-", input: manifest.description)
                #expect(created == "\(resource) created (server dry run)\n")
                await #expect(throws: Kubectl.Failure.self) { _ = try await kubectl("get", resource) }
                _ = try await kubectl("create", "-f", "-", input: manifest.description)
                _ = try await kubectl("delete", resource, "--dry-run=server")
                #expect(try await kubectl("get", resource, "-o", "name") == "\(resource)\n")
            }
        }
    }

    /// The first manifest of docs/deploy.md that a newcomer applies.
    @Test func `the example of a volume that the driver does not know applies to the server`() async throws {
        var root = URL(fileURLWithPath: #filePath)
        for _ in 0..<4 { root.deleteLastPathComponent() }
        let path = root.appending(path: "manifests/examples/hostpath/unknown-volume.yaml").path
        try await SimulatedAPIServer.withServer { server in
            try await Kubectl.with(server) { kubectl in
                let output = try await kubectl("apply", "--dry-run=server", "-f", path)
                #expect(output.contains("persistentvolume/"), "\(output)")
                #expect(output.contains("persistentvolumeclaim/"), "\(output)")
            }
        }
    }

    @Test func `volumes and claims are shown in their columns`() async throws {
        try await SimulatedAPIServer.withServer { server in
            try Self.bind(on: server)
            try await Kubectl.with(server) { kubectl in
                let rows = Kubectl.columns(try await kubectl("get", "pv,pvc"))
                try #require(rows.count == 4)
                #expect(
                    rows[0].prefix(7) == [
                        "NAME", "CAPACITY", "ACCESS MODES", "RECLAIM POLICY", "STATUS", "CLAIM", "STORAGECLASS",
                    ]
                )
                #expect(
                    rows[1].prefix(7) == [
                        "persistentvolume/pv-1", "1Gi", "RWO", "Retain", "Bound", "default/csi-pvc", "csi-sc",
                    ]
                )
                #expect(
                    rows[2].prefix(6) == ["NAME", "STATUS", "VOLUME", "CAPACITY", "ACCESS MODES", "STORAGECLASS"]
                )
                #expect(
                    rows[3].prefix(6) == ["persistentvolumeclaim/csi-pvc", "Bound", "pv-1", "1Gi", "RWO", "csi-sc"]
                )
                #expect(server.journal.records.contains { $0.request.isHTTP2 })
            }
        }
    }

    @Test func `a claim is described with its events and pods`() async throws {
        try await SimulatedAPIServer.withServer { server in
            try Self.bind(on: server)
            let claim = try #require(
                try server.object(kind: "PersistentVolumeClaim", namespace: "default", name: "csi-pvc")
            )
            let now = Int64(Date().timeIntervalSince1970)
            try server.create([
                "kind": "Event", "metadata": ["name": "csi-pvc.1"], "type": "Warning", "count": 3,
                "involvedObject": [
                    "kind": "PersistentVolumeClaim", "name": "csi-pvc", "namespace": "default",
                    "uid": claim["metadata", "uid"] ?? "",
                ],
                "reason": "VolumeConditionAbnormal", "message": "The source path of the volume doesn't exist",
                "source": ["component": "csi-pv-monitor-controller-hostpath.csi.k8s.io"],
                "firstTimestamp": .string(Timestamp(seconds: now - 20 * 3600 - 1800).text),
                "lastTimestamp": .string(Timestamp(seconds: now - 9 * 3600 - 1800).text),
            ])
            try PodFixture(name: "app", nodeName: "", claimNames: ["csi-pvc"]).create(in: server)
            try await Kubectl.with(server) { kubectl in
                let described = try await kubectl("describe", "pvc", "csi-pvc")
                let rows = Kubectl.columns(described)
                #expect(rows.contains(["Used By:", "app"]))
                #expect(rows.contains(["Type", "Reason", "Age", "From", "Message"]))
                #expect(
                    rows.last == [
                        "Warning", "VolumeConditionAbnormal", "9h (x3 over 20h)",
                        "csi-pv-monitor-controller-hostpath.csi.k8s.io", "The source path of the volume doesn't exist",
                    ]
                )
            }
        }
    }

    @Test func `a pod is described with its volumes, its readiness gates and its events`() async throws {
        try await SimulatedAPIServer.withServer { server in
            var pod = PodFixture(
                name: "my-csi-app",
                nodeName: "minikube",
                volumes: [
                    .init(name: "my-csi-volume", source: .claim("csi-pvc")),
                    .init(name: "scratch", source: .inline(driver: "hostpath.csi.k8s.io")),
                    .init(name: "cache", source: .genericEphemeral),
                ]
            )
            pod.readinessGates = ["hostpath.csi.k8s.io/volumes-healthy"]
            let uid = try pod.create(in: server)
            let now = Int64(Date().timeIntervalSince1970)
            try server.create([
                "kind": "Event", "metadata": ["name": "my-csi-app.1"], "type": "Warning", "count": 2,
                "involvedObject": [
                    "kind": "Pod", "name": "my-csi-app", "namespace": "default", "uid": .string(uid),
                ],
                "reason": "VolumeConditionAbnormal", "message": "The volume isn't mounted",
                "source": ["component": "csi-pv-monitor-agent-hostpath.csi.k8s.io", "host": "minikube"],
                "firstTimestamp": .string(Timestamp(seconds: now - 20 * 3600 - 1800).text),
                "lastTimestamp": .string(Timestamp(seconds: now - 9 * 3600 - 1800).text),
            ])
            try await Kubectl.with(server) { kubectl in
                let rows = Kubectl.columns(try await kubectl("describe", "pod", "my-csi-app"))
                #expect(rows.contains(["Status:", "Running"]))
                #expect(rows.contains { $0.starts(with: ["hostpath.csi.k8s.io/volumes-healthy", "<none>"]) })
                #expect(rows.contains(["ClaimName:", "csi-pvc"]))
                #expect(rows.contains { $0.starts(with: ["Driver:", "hostpath.csi.k8s.io"]) })
                #expect(rows.contains { $0.last?.hasPrefix("EphemeralVolume") == true })
                #expect(
                    rows.last == [
                        "Warning", "VolumeConditionAbnormal", "9h (x2 over 20h)",
                        "csi-pv-monitor-agent-hostpath.csi.k8s.io", "The volume isn't mounted",
                    ]
                )
                let requests = server.journal.records.map(\.request).filter { !$0.resource.isEmpty }
                // kubectl finds the object first, then describes it.
                #expect(requests.map(\.resource) == ["pods", "pods", "events"])
            }
        }
    }

    @Test func `Pods, Nodes and Secrets are shown in their columns`() async throws {
        try await SimulatedAPIServer.withServer { server in
            try NodeFixture(name: "worker-1").store(in: server)
            try NodeFixture(name: "worker-2", readiness: .unknown).store(in: server)
            try NodeFixture(name: "worker-3", readiness: nil).store(in: server)
            try PodFixture(name: "web-0", nodeName: "worker-1", claimNames: ["csi-pvc"]).create(in: server)
            try server.create(Self.manifests[7].manifest)
            try await Kubectl.with(server) { kubectl in
                _ = try await kubectl("cordon", "worker-1")
                let nodes = Kubectl.columns(try await kubectl("get", "nodes")).map { $0.prefix(2) }
                #expect(
                    nodes == [
                        ["NAME", "STATUS"], ["worker-1", "Ready,SchedulingDisabled"], ["worker-2", "NotReady"],
                        ["worker-3", "Unknown"],
                    ]
                )
                let pods = Kubectl.columns(try await kubectl("get", "pods", "-o", "wide"))
                #expect(pods.first == ["NAME", "READY", "STATUS", "RESTARTS", "AGE", "NODE"])
                #expect(pods.last?.prefix(4) == ["web-0", "1/1", "Running", "0"])
                #expect(pods.last?.last == "worker-1")
                let secrets = Kubectl.columns(try await kubectl("get", "secrets"))
                #expect(secrets.last?.prefix(3) == ["credentials", "Opaque", "1"])
            }
        }
    }

    /// kubectl 1.32 shows the field though it does not know it.
    @Test func `the health of a claim is shown`() async throws {
        try await SimulatedAPIServer.withServer { server in
            try Self.bind(on: server)
            try await Kubectl.with(server) { kubectl in
                let status: JSONValue = [
                    "healthStatus": [
                        "healthConditions": [["status": "Degraded", "reason": "Slow", "message": "A disk is lost"]],
                        "lastTransitionTime": "2026-01-02T15:04:05Z",
                    ]
                ]
                let patch: JSONValue = ["status": status]
                let text = patch.description
                _ = try await kubectl("patch", "pvc/csi-pvc", "--subresource=status", "--type=merge", "-p", text)
                let yaml = try await kubectl("get", "pvc", "csi-pvc", "-o", "yaml")
                #expect(
                    yaml.contains(
                        """
                          healthStatus:
                            healthConditions:
                            - message: A disk is lost
                              reason: Slow
                              status: Degraded
                            lastTransitionTime: "2026-01-02T15:04:05Z"
                        """
                    )
                )
                let json = try await kubectl("get", "pvc", "csi-pvc", "-o", "json")
                let claim = try JSONValue(parsing: Array(json.utf8))
                #expect(claim["status", "healthStatus"] == status["healthStatus"])
                let path = "jsonpath={.status.healthStatus.healthConditions[*].reason}"
                #expect(try await kubectl("get", "pvc", "csi-pvc", "-o", path) == "Slow")
            }
        }
    }

    @Test func `a deletion is watched`() async throws {
        try await SimulatedAPIServer.withServer { server in
            try server.create(Self.manifests[1].manifest)
            try await Kubectl.with(server) { kubectl in
                let output = try await withThrowingTaskGroup(of: String?.self) { group in
                    group.addTask { try await kubectl("wait", "pvc/csi-pvc", "--for=delete", "--timeout=3600s") }
                    group.addTask {
                        let record = await server.journal.first { $0.request.verb == .watch }
                        #expect(record?.code == 200)
                        try server.delete(kind: "PersistentVolumeClaim", namespace: "default", name: "csi-pvc")
                        return nil
                    }
                    // A kubectl that ends without a watch ends the wait for one.
                    defer { group.cancelAll() }
                    while let output = try await group.next() {
                        if let output { return output }
                    }
                    return ""
                }
                #expect(output == "persistentvolumeclaim/csi-pvc condition met\n")
            }
        }
    }

    /// The volume and the claim of `manifests`, bound to each other.
    private static func bind(on server: SimulatedAPIServer) throws {
        for (_, manifest) in manifests.prefix(2) {
            var object = manifest
            object["status"] = ["phase": "Bound"]
            if object["kind"] == "PersistentVolumeClaim" {
                object["status", "capacity"] = ["storage": "1Gi"]
                object["status", "accessModes"] = ["ReadWriteOnce"]
            }
            try server.create(object)
        }
    }
}
