// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import KubernetesAPI
import SwiftProtobuf
import Testing

@testable import HealthMonitorTestKit

/// The hand-written schemas against the client's generated messages.
@Suite struct GeneratedMessagesTests {
    @Test func `the generated messages decode volumes and claims`() throws {
        let volume = try PersistentVolume(
            serializedBytes: MessageSchema.persistentVolume.encode(CodecTests.volume)
        )
        #expect(volume.metadata.name == "pv-1")
        #expect(volume.metadata.uid == "u1")
        #expect(volume.metadata.resourceVersion == "7")
        #expect(volume.metadata.creationTimestamp.seconds == 1_767_366_245)
        #expect(volume.metadata.labels == ["a": "1", "b": ""])
        #expect(volume.spec.persistentVolumeSource.csi.driver == "hostpath.csi.k8s.io")
        #expect(volume.spec.persistentVolumeSource.csi.volumeHandle == "vol-1")
        #expect(volume.spec.claimRef.name == "csi-pvc")
        #expect(volume.spec.claimRef.namespace == "default")
        #expect(volume.spec.claimRef.uid == "u2")
        #expect(volume.status.phase == "Bound")

        let claim = try PersistentVolumeClaim(
            serializedBytes: MessageSchema.persistentVolumeClaim.encode([
                "metadata": ["name": "csi-pvc", "namespace": "default", "annotations": ["a": "b"]],
                "spec": ["volumeName": "pv-1"], "status": ["phase": "Bound"],
            ])
        )
        #expect(claim.metadata.namespace == "default")
        #expect(claim.metadata.annotations == ["a": "b"])
        #expect(claim.spec.volumeName == "pv-1")
        #expect(claim.status.phase == "Bound")
    }

    @Test func `a claim's health is the same in both`() throws {
        let status: JSONValue = [
            "healthStatus": [
                "healthConditions": [
                    ["status": "Degraded", "reason": "Slow", "message": "m"], ["status": "DataLoss", "reason": "Bad"],
                ],
                "lastTransitionTime": "2026-01-02T15:04:05Z",
            ]
        ]
        let claim = try PersistentVolumeClaim(
            serializedBytes: MessageSchema.persistentVolumeClaim.encode(["status": status])
        )
        #expect(claim.status.healthStatus.healthConditions.map(\.status) == ["Degraded", "DataLoss"])
        #expect(claim.status.healthStatus.healthConditions.map(\.reason) == ["Slow", "Bad"])
        #expect(claim.status.healthStatus.healthConditions.map(\.message) == ["m", ""])
        #expect(claim.status.healthStatus.lastTransitionTime.seconds == 1_767_366_245)
        let bytes: [UInt8] = try claim.serializedBytes()
        #expect(try MessageSchema.persistentVolumeClaim.decode(bytes[...])["status"] == status)
    }

    @Test func `the generated messages decode a volume's Secret references`() throws {
        var source: JSONValue = [:]
        for field in ["controllerPublish", "nodeStage", "nodePublish", "controllerExpand", "nodeExpand"] {
            source["\(field)SecretRef"] = ["namespace": "n", "name": .string(field)]
        }
        let bytes = try MessageSchema.persistentVolume.encode(["spec": ["csi": source]])
        let csi = try PersistentVolume(serializedBytes: bytes).spec.persistentVolumeSource.csi
        #expect(csi.controllerPublishSecretRef.name == "controllerPublish")
        #expect(csi.controllerPublishSecretRef.namespace == "n")
        #expect(csi.nodeStageSecretRef.name == "nodeStage")
        #expect(csi.controllerExpandSecretRef.name == "controllerExpand")
        #expect(try MessageSchema.persistentVolume.decode(bytes[...])["spec", "csi"] == source)

        let secret = try Secret(serializedBytes: MessageSchema.secret.encode(["data": ["password": "aHVudGVyMg=="]]))
        #expect(secret.data.mapValues { Array($0) } == ["password": Array("hunter2".utf8)])
    }

    @Test func `the generated messages decode Pods and Nodes`() throws {
        let pod = try Pod(
            serializedBytes: MessageSchema.pod.encode([
                "metadata": ["name": "web-0"],
                "spec": [
                    "nodeName": "worker",
                    "volumes": [
                        ["name": "data", "persistentVolumeClaim": ["claimName": "csi-pvc", "readOnly": true]],
                        ["name": "scratch", "ephemeral": [:]], ["name": "config"],
                    ],
                ],
                "status": ["phase": "Running"],
            ])
        )
        #expect((pod.metadata.name, pod.spec.nodeName, pod.status.phase) == ("web-0", "worker", "Running"))
        #expect(pod.spec.volumes.map(\.name) == ["data", "scratch", "config"])
        #expect(pod.spec.volumes.map(\.volumeSource.persistentVolumeClaim.claimName) == ["csi-pvc", "", ""])
        #expect(pod.spec.volumes.map(\.volumeSource.hasEphemeral) == [false, true, false])

        let node = try Node(
            serializedBytes: MessageSchema.node.encode([
                "metadata": ["name": "worker"], "spec": ["providerID": "p", "unschedulable": true],
                "status": [
                    "conditions": [
                        ["type": "Ready", "status": "Unknown", "lastTransitionTime": "2026-01-02T15:04:05Z"]
                    ]
                ],
            ])
        )
        #expect(node.metadata.name == "worker")
        #expect(node.status.conditions.map(\.type) == ["Ready"])
        #expect(node.status.conditions.map(\.status) == ["Unknown"])
        #expect(node.status.conditions.map(\.lastTransitionTime.seconds) == [1_767_366_245])
    }

    @Test func `the schema decodes an event of the generated message`() throws {
        var event = Event()
        event.metadata.name = "e"
        event.involvedObject.kind = "PersistentVolumeClaim"
        event.involvedObject.resourceVersion = "9"
        event.reason = "VolumeConditionAbnormal"
        event.message = "gone"
        event.source.component = "monitor"
        event.firstTimestamp.seconds = 1_767_366_245
        event.lastTimestamp.seconds = 1_767_366_246
        event.count = 2
        event.type = "Warning"
        event.reportingComponent = "monitor"
        event.reportingInstance = "host"
        let bytes: [UInt8] = try event.serializedBytes()
        #expect(
            try MessageSchema.event.decode(bytes[...]) == [
                "metadata": ["name": "e"], "reason": "VolumeConditionAbnormal", "message": "gone", "count": 2,
                "involvedObject": ["kind": "PersistentVolumeClaim", "resourceVersion": "9"], "type": "Warning",
                "source": ["component": "monitor"], "firstTimestamp": "2026-01-02T15:04:05Z",
                "lastTimestamp": "2026-01-02T15:04:06Z", "reportingComponent": "monitor", "reportingInstance": "host",
            ]
        )
    }

    @Test func `a Lease is the same in both`() throws {
        let lease = try Lease(serializedBytes: CodecTests.leaseBytes)
        #expect(lease.spec.hasHolderIdentity && lease.spec.holderIdentity.isEmpty)
        #expect(lease.spec.leaseDurationSeconds == 15)
        #expect(lease.spec.renewTime.nanos == 123_456_000)
        #expect(lease.spec.hasLeaseTransitions && !lease.spec.hasAcquireTime)
        let bytes: [UInt8] = try lease.serializedBytes()
        #expect(try MessageSchema.lease.decode(bytes[...]) == CodecTests.lease)
    }

    @Test func `a Status keeps its details`() throws {
        let error = StatusError.invalid(.leases, "l", [.required("spec", "why")])
        let status = try Status(serializedBytes: MessageSchema.status.encode(error.value))
        #expect(status.code == 422)
        #expect(status.reason == "Invalid")
        #expect(status.message == error.message)
        #expect(status.details.name == "l")
        #expect(status.details.group == "coordination.k8s.io")
        #expect(status.details.causes.map(\.field) == ["spec"])
    }

    @Test func `the generated messages decode lists and watch frames`() throws {
        let list: JSONValue = [
            "metadata": ["resourceVersion": "5", "continue": "next", "remainingItemCount": 3],
            "items": [CodecTests.volume],
        ]
        let page = try ObjectList(serializedBytes: MessageSchema.list(of: .persistentVolume).encode(list))
        #expect(page.metadata.resourceVersion == "5")
        #expect(page.metadata.continue == "next")
        #expect(page.metadata.remainingItemCount == 3)
        #expect(page.items.map(Array.init) == [CodecTests.volumeBytes])

        let envelope = Envelope(apiVersion: "v1", kind: "PersistentVolume", raw: CodecTests.volumeBytes)
        let frame = WatchFrame.bytes(type: "MODIFIED", object: envelope.bytes)
        #expect(frame.prefix(4).reduce(0) { $0 << 8 | Int($1) } == frame.count - 4)
        let event = try WatchEvent(serializedBytes: Array(frame.dropFirst(4)))
        #expect(event.type == "MODIFIED")
        let unknown = try Unknown(serializedBytes: Array(event.object.raw.dropFirst(4)))
        #expect(unknown.typeMeta.kind == "PersistentVolume")
        #expect(Array(unknown.raw) == CodecTests.volumeBytes)
    }
}
