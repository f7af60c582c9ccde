// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import KubernetesAPI
import SwiftProtobuf
import Testing

@testable import HealthMonitorTestKit

/// Pods as the node side needs them: selected by node, with a status that several writers share.
@Suite(.timeLimit(.minutes(50))) struct PodTests {
    static let pods = "/api/v1/namespaces/default/pods"
    static let strategic = "application/strategic-merge-patch+json"
    static let merge = "application/merge-patch+json"

    static func patch(_ status: String, uid: String? = nil) -> JSONValue {
        var patch: JSONValue = [
            "status": ["conditions": [["type": "example.com/volumes-healthy", "status": .string(status)]]]
        ]
        patch["metadata"] = uid.map { ["uid": .string($0)] }
        return patch
    }

    static func conditions(_ server: SimulatedAPIServer) throws -> [String: String] {
        let pod = try server.object(kind: "Pod", namespace: "default", name: "web-0")
        let conditions = (pod?["status", "conditions"]?.array ?? []).map {
            ($0["type"]?.string ?? "", $0["status"]?.string ?? "")
        }
        return Dictionary(uniqueKeysWithValues: conditions)
    }

    @Test func `a strategic merge patch of the status merges conditions by type`() async throws {
        try await withClient { server, client in
            let uid = try PodFixture(name: "web-0", nodeName: "worker", claimNames: []).create(in: server)
            for status in ["False", "True"] {
                let body = Self.patch(status, uid: uid)
                let path = "\(Self.pods)/web-0/status"
                #expect(try await client.send("PATCH", path, body: body, contentType: Self.strategic).status == 200)
                let conditions = try Self.conditions(server)
                #expect(conditions["example.com/volumes-healthy"] == status)
                #expect(conditions["Ready"] == "True")
                #expect(conditions.count == 6)
            }
        }
    }

    @Test func `a merge patch of the status replaces the list of conditions`() async throws {
        try await withClient { server, client in
            try PodFixture(name: "web-0", nodeName: "worker", claimNames: []).create(in: server)
            let path = "\(Self.pods)/web-0/status"
            let patched = try await client.send("PATCH", path, body: Self.patch("True"), contentType: Self.merge)
            #expect(patched.status == 200)
            #expect(try Self.conditions(server) == ["example.com/volumes-healthy": "True"])
        }
    }

    @Test func `a status patch for another uid is refused`() async throws {
        try await withClient { server, client in
            var pod = PodFixture(name: "web-0", nodeName: "worker", claimNames: [])
            let uid = try pod.create(in: server)
            let newUID = try pod.replace(in: server)
            #expect(newUID != uid)
            let body = Self.patch("True", uid: uid)
            let refused = try await client.send(
                "PATCH",
                "\(Self.pods)/web-0/status",
                body: body,
                contentType: Self.strategic
            )
            #expect(refused.status == 422)
            #expect(try refused.json["message"]?.string?.contains("metadata.uid: Invalid value") == true)
            #expect(try refused.json["message"]?.string?.contains("field is immutable") == true)
            #expect(try Self.conditions(server)["example.com/volumes-healthy"] == nil)
        }
    }

    @Test func `a condition's type must be a qualified name`() async throws {
        try await withClient { server, client in
            try PodFixture(name: "web-0", nodeName: "worker", claimNames: []).create(in: server)
            let types = [
                ("Driver.example.com/healthy", 422), ("a/b/c", 422), ("-a", 422), ("a/", 422), ("Ready", 200),
                ("driver.example.com/Volumes_healthy.2", 200), ("driver/" + String(repeating: "x", count: 64), 422),
            ]
            for (type, status) in types {
                let patch: JSONValue = ["status": ["conditions": [["type": .string(type), "status": "True"]]]]
                let path = "\(Self.pods)/web-0/status"
                let response = try await client.send("PATCH", path, body: patch, contentType: Self.strategic)
                #expect(response.status == status, "\(type)")
            }
        }
    }

    @Test func `a write of the status changes annotations, but not the spec`() async throws {
        try await withClient { server, client in
            try PodFixture(name: "web-0", nodeName: "worker", claimNames: []).create(in: server)
            let patch: JSONValue = ["metadata": ["annotations": ["a": "b"]], "spec": ["nodeName": "other"]]
            let path = "\(Self.pods)/web-0/status"
            #expect(try await client.send("PATCH", path, body: patch, contentType: Self.merge).status == 200)
            let pod = try server.object(kind: "Pod", namespace: "default", name: "web-0")
            #expect(pod?["spec", "nodeName"] == "worker")
            #expect(pod?["metadata", "annotations"] == ["a": "b"])
        }
    }

    /// `oldObjPasses` in k8s.io/apiserver/pkg/storage/cacher/cache_watcher.go.
    @Test func `a pod that no longer matches the selector is deleted with its last matching state`() async throws {
        try await withClient { server, client in
            var pod = PodFixture(name: "web-0", nodeName: "worker", claimNames: [])
            try pod.create(in: server)
            try PodFixture(name: "elsewhere", nodeName: "other", claimNames: []).create(in: server)
            let selector = "spec.nodeName=worker,status.phase!=Succeeded,status.phase!=Failed"
            let query = ["watch": "true", "fieldSelector": selector]
            var events = try await client.watch("/api/v1/pods", query: query)
            let added = try #require(try await events.next())
            #expect((added.type, added.object["metadata", "name"]) == ("ADDED", "web-0"))
            try pod.end(in: server)
            let deleted = try #require(try await events.next())
            #expect(deleted.type == "DELETED")
            #expect(deleted.object["status", "phase"] == "Running")
            #expect(deleted.object["metadata", "resourceVersion"] != added.object["metadata", "resourceVersion"])
        }
    }

    @Test func `a terminating pod has a deletionTimestamp until the kubelet deletes it`() async throws {
        try await withClient { server, client in
            let pod = PodFixture(name: "web-0", nodeName: "worker", claimNames: [])
            try pod.create(in: server)
            try pod.terminate(in: server)
            let terminating = try server.object(kind: "Pod", namespace: "default", name: "web-0")
            #expect(terminating?["metadata", "deletionTimestamp"]?.string?.isEmpty == false)
            #expect(terminating?["metadata", "deletionGracePeriodSeconds"] == 30)
            // A write of another field keeps it.
            let body = Self.patch("True")
            let path = "\(Self.pods)/web-0/status"
            #expect(try await client.send("PATCH", path, body: body, contentType: Self.strategic).status == 200)
            let written = try server.object(kind: "Pod", namespace: "default", name: "web-0")
            #expect(written?["metadata", "deletionTimestamp"] == terminating?["metadata", "deletionTimestamp"])
            #expect(written?["metadata", "deletionGracePeriodSeconds"] == 30)
            let deletion: JSONValue = ["gracePeriodSeconds": 0]
            #expect(try await client.send("DELETE", "\(Self.pods)/web-0", body: deletion).status == 200)
            #expect(try server.object(kind: "Pod", namespace: "default", name: "web-0") == nil)
        }
    }

    @Test func `the generated messages decode every kind of volume`() throws {
        let volumes: [PodFixture.Volume] = [
            .init(name: "claim", source: .claim("csi-pvc")),
            .init(name: "generic", source: .genericEphemeral, use: .device),
            .init(name: "inline", source: .inline(driver: "d.example.com")),
        ]
        let values: JSONValue = ["volumes": .array(volumes.map(\.value)), "containers": [["name": "a"]]]
        var spec = values
        spec["initContainers"] = [["name": "i", "volumeMounts": [volumes[0].mount]]]
        spec["ephemeralContainers"] = [["name": "e", "volumeDevices": [volumes[1].device]]]
        spec["readinessGates"] = [["conditionType": "a/b"]]
        let status: JSONValue = [
            "conditions": [["type": "Ready", "status": "True", "lastTransitionTime": "2026-01-02T15:04:05Z"]],
            "containerStatuses": [
                ["containerID": "c://1", "state": ["running": ["startedAt": "2026-01-02T15:04:05Z"]]]
            ],
            "ephemeralContainerStatuses": [["state": ["terminated": ["exitCode": 1]]]],
            "initContainerStatuses": [["state": ["waiting": ["reason": "PodInitializing"]]]],
        ]
        let bytes = try MessageSchema.pod.encode(["spec": spec, "status": status])
        #expect(try MessageSchema.pod.decode(bytes[...]) == ["spec": spec, "status": status])

        let pod = try Pod(serializedBytes: bytes)
        let sources = pod.spec.volumes.map(\.volumeSource)
        #expect(sources[0].persistentVolumeClaim.claimName == "csi-pvc")
        #expect(sources[1].hasEphemeral)
        #expect(sources[2].csi.driver == "d.example.com")
        #expect(pod.spec.initContainers.first?.volumeMounts.map(\.name) == ["claim"])
        #expect(
            pod.spec.ephemeralContainers.first?.ephemeralContainerCommon.volumeDevices.map(\.name) == ["generic"]
        )
        #expect(pod.spec.readinessGates.map(\.conditionType) == ["a/b"])
        #expect(pod.status.conditions.map(\.type) == ["Ready"])
        #expect(pod.status.conditions.map(\.lastTransitionTime.seconds) == [1_767_366_245])
        #expect(pod.status.containerStatuses.map(\.containerID) == ["c://1"])
        #expect(pod.status.containerStatuses.first?.state.hasRunning == true)
        #expect(pod.status.ephemeralContainerStatuses.first?.state.hasTerminated == true)
        #expect(pod.status.initContainerStatuses.first?.state.hasWaiting == true)
    }

    @Test func `a claim of a generic ephemeral volume names its pod`() throws {
        let bytes = try MessageSchema.persistentVolumeClaim.encode([
            "metadata": [
                "ownerReferences": [
                    ["apiVersion": "v1", "kind": "Pod", "name": "web-0", "uid": "u", "controller": true]
                ]
            ]
        ])
        let owner = try PersistentVolumeClaim(serializedBytes: bytes).metadata.ownerReferences.first
        #expect((owner?.kind, owner?.name, owner?.uid, owner?.controller) == ("Pod", "web-0", "u", true))
    }
}
