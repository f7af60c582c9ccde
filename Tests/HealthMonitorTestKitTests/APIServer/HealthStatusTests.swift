// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import KubernetesAPI
import SwiftProtobuf
import Testing

@testable import HealthMonitorTestKit

/// `status.healthStatus` of claims as in Kubernetes 1.37, with its feature gate on and off.
@Suite struct HealthStatusTests {
    static let now = Timestamp(seconds: 1_767_366_245)
    static let degraded: JSONValue = ["status": "Degraded", "reason": "Slow", "message": "m"]

    var registry: Registry
    let uid: String

    init() throws {
        registry = try Registry(now: Self.now)
        let claim = try registry.create(
            .persistentVolumeClaims,
            [
                "metadata": ["name": "csi-pvc"],
                "spec": ["accessModes": ["ReadWriteOnce"], "resources": ["requests": ["storage": "1Gi"]]],
            ],
            namespace: "default",
            as: .client,
            now: Self.now
        )
        uid = try #require(claim["metadata", "uid"]?.string)
    }

    @discardableResult
    mutating func write(_ healthStatus: JSONValue) throws -> JSONValue {
        try registry.patch(
            .persistentVolumeClaims,
            ["metadata": ["uid": .string(uid)], "status": ["healthStatus": healthStatus]],
            namespace: "default",
            name: "csi-pvc",
            subresource: "status",
            as: .client,
            now: Self.now
        )
    }

    mutating func refusal(of conditions: [JSONValue]) -> StatusError? {
        do {
            try write(["healthConditions": .array(conditions)])
            return nil
        } catch {
            return error as? StatusError
        }
    }

    @Test mutating func `healthStatus is stored and removed`() throws {
        let status: JSONValue = [
            "healthConditions": [Self.degraded], "lastTransitionTime": "2026-01-02T15:04:05Z",
        ]
        let written = try write(status)
        #expect(written["status", "healthStatus"] == status)
        #expect(written["status", "phase"] == "Pending")

        let revision = registry.store.revision
        try write(status)
        #expect(registry.store.revision == revision)

        let cleared = try write(.null)
        #expect(cleared["status"] == ["phase": "Pending"])
    }

    @Test mutating func `healthStatus is dropped without an error while the gate is off`() throws {
        registry.featureGates = []
        let written = try write(["healthConditions": [Self.degraded]])
        #expect(written["status"] == ["phase": "Pending"])
    }

    /// As with every gated field of the real server.
    @Test mutating func `an existing healthStatus can be changed and removed while the gate is off`() throws {
        try write(["healthConditions": [Self.degraded]])
        registry.featureGates = []
        let lost: JSONValue = ["status": "DataLoss", "reason": "R"]
        let changed = try write(["healthConditions": [lost]])
        #expect(changed["status", "healthStatus", "healthConditions"] == [lost])
        #expect(try write(.null)["status", "healthStatus"] == nil)
        #expect(try write(["healthConditions": [lost]])["status", "healthStatus"] == nil)
    }

    static let wrong: [(JSONValue, String)] = [
        (["status": "Broken", "reason": "R"], "status"),
        (["status": "Degraded"], "reason"),
        (["status": "Degraded", "reason": .string(String(repeating: "é", count: 129))], "reason"),
        (
            ["status": "Degraded", "reason": "R", "message": .string(String(repeating: "é", count: 513))],
            "message"
        ),
    ]

    @Test(arguments: wrong)
    mutating func `an invalid condition is refused`(condition: JSONValue, field: String) throws {
        let error = refusal(of: [condition])
        #expect(error?.code == 422)
        let path = "status.healthStatus.healthConditions[0].\(field)"
        #expect(error?.details?["causes"]?.array?.first?["field"] == .string(path))
    }

    @Test mutating func `more than 16 conditions and duplicates are refused`() throws {
        let many = (0...16).map { ["status": "Degraded", "reason": .string("R\($0)")] as JSONValue }
        let messages = [Array(many.dropLast()), many, [Self.degraded, Self.degraded]].map { refusal(of: $0)?.message }
        #expect(messages[0] == nil)
        #expect(messages[1]?.contains("must have at most 16 items") == true)
        #expect(messages[2]?.contains("Duplicate value") == true)
    }

    @Test func `healthStatus is encoded in protobuf`() throws {
        let claim: JSONValue = ["status": ["healthStatus": ["healthConditions": [Self.degraded]]]]
        let bytes = try MessageSchema.persistentVolumeClaim.encode(claim)
        let decoded = try MessageSchema.persistentVolumeClaim.decode(bytes[...])
        #expect(decoded["status"] == claim["status"])
        // status=3 { ..., healthStatus=10 { healthConditions=1 { status=1, reason=2, message=3 } } }
        let health: [UInt8] =
            [0x52, 21, 0x0A, 19, 0x0A, 8] + "Degraded".utf8 + [0x12, 4] + "Slow".utf8 + [0x1A, 1, 0x6D]
        #expect(bytes.suffix(health.count) == health[...])
    }

    @Test(arguments: [true, false]) func `the gate decides whether a claim's health is stored`(isOn: Bool) async throws
    {
        try await withClient { server, client in
            server.featureGates = isOn ? [.csiVolumeHealth] : []
            let volume = VolumeFixture(number: 0)
            let uid = try volume.create(in: server)
            let path = "\(APIServerTests.claims)/\(volume.claimName)/status"
            let before = try server.object(kind: "PersistentVolumeClaim", namespace: "default", name: volume.claimName)
            func patch(_ version: JSONValue?, _ conditions: JSONValue) async throws -> APIClient.Response {
                try await client.send(
                    "PATCH",
                    path,
                    body: [
                        "metadata": ["uid": .string(uid), "resourceVersion": version ?? .null],
                        "status": ["healthStatus": ["healthConditions": conditions]],
                    ],
                    contentType: "application/merge-patch+json",
                    accept: Representation.protobufType
                )
            }
            let version = before?["metadata", "resourceVersion"]
            let response = try await patch(version, [["status": "Degraded", "reason": "Slow"]])
            #expect(response.status == 200)
            let claim = try PersistentVolumeClaim(serializedBytes: Array(Envelope(parsing: response.body).raw))
            #expect(claim.status.hasHealthStatus == isOn)
            #expect(claim.status.phase == "Bound")
            // A dropped field still changes managedFields.
            #expect(claim.metadata.resourceVersion != version?.string)

            if isOn {
                let stale = try await patch(version, [])
                #expect(stale.status == 409)
                let invalid = try await patch(nil, [["status": "Broken", "reason": "Slow"]])
                #expect(invalid.status == 422)
            }
        }
    }

    @Test func `a Secret is base64 in JSON and bytes in protobuf`() throws {
        let secret: JSONValue = ["data": ["password": "aHVudGVyMg=="]]
        let bytes = try MessageSchema.secret.encode(secret)
        #expect(try MessageSchema.secret.decode(bytes[...])["data"] == secret["data"])
        #expect(String(decoding: bytes, as: UTF8.self).contains("hunter2"))
        #expect(throws: SchemaError.self) {
            _ = try MessageSchema.secret.normalize(["data": ["password": "not base64"]])
        }
    }
}
