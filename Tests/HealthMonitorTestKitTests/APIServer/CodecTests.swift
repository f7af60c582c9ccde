// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Testing

@testable import HealthMonitorTestKit

/// The codec against bytes from another encoder: `protoc --encode` over messages with the field numbers of
/// k8s.io/api, empty fields set where Go does not hold them by pointer.
@Suite struct CodecTests {
    static let volume: JSONValue = [
        "metadata": [
            "name": "pv-1", "uid": "u1", "resourceVersion": "7", "creationTimestamp": "2026-01-02T15:04:05Z",
            "labels": ["a": "1", "b": ""],
        ],
        "spec": [
            "capacity": ["storage": "1Gi"], "csi": ["driver": "hostpath.csi.k8s.io", "volumeHandle": "vol-1"],
            "accessModes": ["ReadWriteOnce"], "persistentVolumeReclaimPolicy": "Delete", "volumeMode": "Filesystem",
            "claimRef": [
                "kind": "PersistentVolumeClaim", "namespace": "default", "name": "csi-pvc", "uid": "u2",
                "apiVersion": "v1",
            ],
        ],
        "status": ["phase": "Bound"],
    ]
    static let volumeBytes = bytes(
        """
        0a2e0a0470762d3112001a0022002a0275313201373800420808e5bcdfca0610005a060a01611201315a050a01621200
        1293010a100a0773746f7261676512050a033147691223b201200a13686f7374706174682e6373692e6b38732e696f12
        05766f6c2d31180022001a0d5265616457726974654f6e636522350a1550657273697374656e74566f6c756d65436c61
        696d120764656661756c741a076373692d707663220275322a02763132003a002a0644656c6574653200420a46696c65
        73797374656d1a0b0a05426f756e6412001a00
        """
    )

    static let lease: JSONValue = [
        "metadata": ["name": "l", "namespace": "ns"],
        "spec": [
            "holderIdentity": "", "leaseDurationSeconds": 15, "renewTime": "2026-01-02T15:04:05.123456Z",
            "leaseTransitions": 0,
        ],
    ]
    static let leaseBytes = bytes(
        "0a130a016c12001a026e7322002a0032003800420012130a00100f220b08e5bcdfca06108094ef3a2800"
    )

    static func bytes(_ hexadecimal: String) -> [UInt8] {
        let digits = hexadecimal.compactMap(\.hexDigitValue)
        return stride(from: 0, to: digits.count, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
    }

    @Test func `a PersistentVolume has the bytes of the real server`() throws {
        #expect(try MessageSchema.persistentVolume.encode(Self.volume) == Self.volumeBytes)
        #expect(try MessageSchema.persistentVolume.decode(Self.volumeBytes[...]) == Self.volume)
    }

    @Test func `a Lease keeps empty fields that Go holds by pointer`() throws {
        #expect(try MessageSchema.lease.encode(Self.lease) == Self.leaseBytes)
        #expect(try MessageSchema.lease.decode(Self.leaseBytes[...]) == Self.lease)
    }

    @Test func `a watch frame holds the object's envelope`() throws {
        let envelope = Envelope(apiVersion: "coordination.k8s.io/v1", kind: "Lease", raw: Self.leaseBytes)
        let frame = Self.bytes(
            """
            00000060
            0a05414444454412570a556b3873000a1f0a16636f6f7264696e6174696f6e2e6b38732e696f2f763112054c65617365
            122a0a130a016c12001a026e7322002a0032003800420012130a00100f220b08e5bcdfca06108094ef3a28001a002200
            """
        )
        #expect(WatchFrame.bytes(type: "ADDED", object: envelope.bytes) == frame)
    }

    @Test func `an envelope has the type of its message`() throws {
        let written = Envelope(apiVersion: "v1", kind: "PersistentVolume", raw: Self.volumeBytes)
        let read = try Envelope(parsing: written.bytes)
        #expect((read.apiVersion, read.kind) == ("v1", "PersistentVolume"))
        #expect(Array(read.raw) == Self.volumeBytes)
        #expect(throws: SchemaError.self) { try Envelope(parsing: Self.volumeBytes) }
    }

    @Test(arguments: [
        (
            MessageSchema.persistentVolumeClaim,
            [
                "metadata": ["name": "csi-pvc", "namespace": "default", "annotations": ["k": "v"]],
                "spec": [
                    "accessModes": ["ReadWriteOnce"], "resources": ["requests": ["storage": "1Gi"]],
                    "storageClassName": "", "selector": ["matchLabels": ["a": "b"]], "volumeName": "pv-1",
                ],
                "status": [
                    "phase": "Bound", "capacity": ["storage": "1Gi"],
                    "conditions": [
                        ["type": "Resizing", "status": "True", "lastTransitionTime": "2026-01-02T15:04:05Z"]
                    ],
                ],
            ] as JSONValue
        ),
        (
            MessageSchema.event,
            [
                "metadata": ["name": "e", "namespace": "default"], "reason": "VolumeConditionAbnormal",
                "involvedObject": ["kind": "PersistentVolumeClaim", "name": "csi-pvc"], "count": 3, "type": "Warning",
                "source": ["component": "c"], "firstTimestamp": "2026-01-02T15:04:05Z",
                "eventTime": "2026-01-02T15:04:05.000001Z", "series": ["count": 2],
            ] as JSONValue
        ),
        (
            MessageSchema.pod,
            [
                "metadata": ["name": "p"],
                "spec": [
                    "nodeName": "n",
                    "volumes": [["name": "data", "persistentVolumeClaim": ["claimName": "csi-pvc"]]],
                ],
            ] as JSONValue
        ),
        (
            MessageSchema.list(of: .namespace),
            [
                "metadata": ["resourceVersion": "5", "continue": "x", "remainingItemCount": 1],
                "items": [["metadata": ["name": "a"]], ["metadata": ["name": "b"], "status": ["phase": "Active"]]],
            ] as JSONValue
        ),
        (
            MessageSchema.status,
            [
                "status": "Failure", "message": "m", "reason": "Invalid", "code": 422,
                "details": ["name": "n", "causes": [["reason": "FieldValueInvalid", "field": "spec"]]],
            ] as JSONValue
        ),
    ])
    func `every type of field is decoded as it was encoded`(schema: MessageSchema, value: JSONValue) throws {
        #expect(try schema.normalize(value) == value)
        #expect(try schema.decode(try schema.encode(value)[...]) == value)
    }

    @Test func `normalizing drops unknown and omitted fields`() throws {
        let value = try MessageSchema.persistentVolume.normalize([
            "apiVersion": "v1", "metadata": ["name": "x", "namespace": "", "creationTimestamp": .null, "unknown": 1],
            "spec": ["capacity": ["storage": 5], "storageClassName": "", "accessModes": []],
            "status": [:],
        ])
        #expect(value == ["metadata": ["name": "x"], "spec": ["capacity": ["storage": "5"]]])
    }

    @Test func `the error for a wrong type has the field's path`() {
        let wrong: JSONValue = ["spec": ["claimRef": ["name": 1]]]
        let error = #expect(throws: SchemaError.self) { try MessageSchema.persistentVolume.normalize(wrong) }
        #expect(error?.description == "spec.claimRef.name: expected a string, not 1")
    }

    @Test func `truncated bytes do not crash the decoder`() throws {
        for end in Self.volumeBytes.indices {
            _ = try? MessageSchema.persistentVolume.decode(Self.volumeBytes[..<end])
        }
        #expect(throws: SchemaError.self) {
            try MessageSchema.persistentVolume.decode(Self.volumeBytes.dropLast())
        }
    }
}
