// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Testing

@testable import HealthMonitorTestKit

@Suite struct RegistryTests {
    static let now = Timestamp(seconds: 1_767_366_245)
    static let claim: JSONValue = [
        "metadata": ["name": "csi-pvc"],
        "spec": ["accessModes": ["ReadWriteOnce"], "resources": ["requests": ["storage": "1Gi"]]],
    ]

    var registry: Registry

    init() throws {
        registry = try Registry(now: Self.now)
    }

    @discardableResult
    mutating func create(_ type: ResourceType = .persistentVolumeClaims, _ body: JSONValue = claim) throws -> JSONValue
    {
        try registry.create(type, body, namespace: type.isNamespaced ? "default" : "", as: .client, now: Self.now)
    }

    mutating func patch(_ patch: JSONValue, subresource: String? = nil) throws -> JSONValue {
        try registry.patch(
            .persistentVolumeClaims,
            patch,
            namespace: "default",
            name: "csi-pvc",
            subresource: subresource,
            as: .client,
            now: Self.now
        )
    }

    // MARK: Create

    @Test mutating func `creating fills in the server's fields`() throws {
        var body = Self.claim
        body["status"] = ["phase": "Bound"]
        body["metadata", "uid"] = "chosen by the client"
        let created = try create(.persistentVolumeClaims, body)
        #expect(created["metadata", "namespace"] == "default")
        #expect(created["metadata", "creationTimestamp"] == "2026-01-02T15:04:05Z")
        #expect(created["metadata", "uid"]?.string?.count == 36)
        #expect(created["metadata", "resourceVersion"] == .string(String(registry.store.revision)))
        #expect(created["status"] == ["phase": "Pending"])
        #expect(created["spec", "volumeMode"] == "Filesystem")
    }

    @Test mutating func `a test may store a status`() throws {
        var body = Self.claim
        body["status"] = ["phase": "Bound"]
        let created = try registry.create(
            .persistentVolumeClaims,
            body,
            namespace: "default",
            as: .test,
            now: Self.now
        )
        #expect(created["status", "phase"] == "Bound")
    }

    @Test mutating func `a second object with the same name is a conflict`() throws {
        try create()
        let error = #expect(throws: StatusError.self) { try create() }
        #expect((error?.code, error?.reason) == (409, "AlreadyExists"))
        #expect(error?.message == "persistentvolumeclaims \"csi-pvc\" already exists")
    }

    @Test mutating func `generateName makes names`() throws {
        let body: JSONValue = ["metadata": ["generateName": "job-"]]
        let names = try (0..<2).map { _ in try create(.leases, body)["metadata", "name"]?.string ?? "" }
        #expect(names.allSatisfy { $0.hasPrefix("job-") && $0.count == 9 })
        #expect(names[0] != names[1])
    }

    @Test mutating func `a missing namespace is not found`() {
        let error = #expect(throws: StatusError.self) {
            try registry.create(.leases, ["metadata": ["name": "l"]], namespace: "nowhere", as: .client, now: Self.now)
        }
        #expect(error?.message == "namespaces \"nowhere\" not found")
    }

    @Test(
        arguments: [
            (.persistentVolumeClaims, ["metadata": ["name": "x"]], "spec.accessModes: Required value"),
            (.persistentVolumes, ["metadata": ["name": "x"]], "must specify a volume type"),
            (.leases, ["metadata": ["name": "Upper"]], "a lowercase RFC 1123 subdomain"),
            (.leases, ["metadata": ["name": "x"], "spec": ["leaseDurationSeconds": 0]], "must be greater than 0"),
            (.leases, [:], "name or generateName is required"),
            (
                .events, ["metadata": ["name": "x"], "involvedObject": ["namespace": "other"]],
                "involvedObject.namespace: Invalid value: \"other\": does not match event.namespace"
            ),
            (
                .events, ["metadata": ["name": "x"], "eventTime": "2026-01-02T15:04:05Z"],
                "reportingInstance: Required value"
            ),
        ] as [(ResourceType, JSONValue, String)]
    )
    func `objects that the real server refuses are invalid`(type: ResourceType, body: JSONValue, words: String) {
        var tests = self
        let error = #expect(throws: StatusError.self) { try tests.create(type, body) }
        #expect((error?.code, error?.reason) == (422, "Invalid"))
        #expect(error?.message.contains(words) == true, "\(error?.message ?? "")")
    }

    // MARK: Update and patch

    @Test mutating func `a stale resource version is a conflict`() throws {
        let first = try create()
        let second = try patch(["metadata": ["labels": ["a": "b"]]])
        #expect(second["metadata", "resourceVersion"] != first["metadata", "resourceVersion"])
        let update = #expect(throws: StatusError.self) {
            try registry.update(
                .persistentVolumeClaims,
                first,
                namespace: "default",
                name: "csi-pvc",
                as: .client,
                now: Self.now
            )
        }
        #expect((update?.code, update?.reason) == (409, "Conflict"))
        let version = first["metadata", "resourceVersion"] ?? ""
        let patched = #expect(throws: StatusError.self) {
            try patch(["metadata": ["resourceVersion": version, "labels": ["a": "c"]]])
        }
        #expect((patched?.code, patched?.reason) == (409, "Conflict"))
    }

    @Test mutating func `another uid is refused`() throws {
        var object = try create()
        let patched = #expect(throws: StatusError.self) { try patch(["metadata": ["uid": "other"]]) }
        #expect((patched?.code, patched?.reason) == (422, "Invalid"))
        object["metadata", "uid"] = "other"
        let update = #expect(throws: StatusError.self) {
            try registry.update(
                .persistentVolumeClaims,
                object,
                namespace: "default",
                name: "csi-pvc",
                as: .client,
                now: Self.now
            )
        }
        #expect((update?.code, update?.reason) == (409, "Conflict"))
    }

    @Test mutating func `a write without a change keeps the resource version`() throws {
        let created = try create()
        #expect(try patch(["metadata": ["labels": ["gone": .null]]]) == created)
    }

    @Test mutating func `status is written through its subresource only`() throws {
        try create()
        #expect(try patch(["status": ["phase": "Bound"]])["status", "phase"] == "Pending")
        let patch: JSONValue = [
            "metadata": ["labels": ["a": "b"]], "spec": ["volumeName": "other"], "status": ["phase": "Bound"],
        ]
        let patched = try self.patch(patch, subresource: "status")
        #expect(patched["status", "phase"] == "Bound")
        #expect(patched["spec", "volumeName"] != "other")
        // persistentvolumeclaimStatusStrategy does not reset them.
        #expect(patched["metadata", "labels"] == ["a": "b"])
    }

    @Test mutating func `a merge patch removes by null`() throws {
        try create()
        _ = try patch(["metadata": ["annotations": ["a": "1", "b": "2"]]])
        let patched = try patch(["metadata": ["annotations": ["a": .null, "c": "3"]]])
        #expect(patched["metadata", "annotations"] == ["b": "2", "c": "3"])
    }

    @Test mutating func `a Lease is only replaced with its resource version`() throws {
        let lease: JSONValue = ["metadata": ["name": "l"], "spec": ["holderIdentity": "a"]]
        let created = try registry.update(
            .leases,
            lease,
            namespace: "default",
            name: "l",
            as: .client,
            now: Self.now
        )
        #expect(created["metadata", "uid"] != nil)
        let error = #expect(throws: StatusError.self) {
            try registry.update(.leases, lease, namespace: "default", name: "l", as: .client, now: Self.now)
        }
        #expect(error?.message.contains("must be specified for an update") == true)
    }

    @Test mutating func `changing an immutable field is invalid`() throws {
        try create()
        let error = #expect(throws: StatusError.self) { try patch(["spec": ["accessModes": ["ReadOnlyMany"]]]) }
        #expect(error?.code == 422)
        #expect(error?.message.contains("spec is immutable after creation") == true)
    }

    // MARK: Delete

    @Test mutating func `deletion waits for finalizers`() throws {
        try create()
        _ = try patch(["metadata": ["finalizers": ["kubernetes.io/pvc-protection"]]])
        let key = ObjectKey(namespace: "default", name: "csi-pvc")
        let deletion = try registry.delete(
            .persistentVolumeClaims,
            namespace: "default",
            name: "csi-pvc",
            now: Self.now
        )
        #expect(!deletion.isGone)
        #expect(deletion.object["metadata", "deletionTimestamp"] == "2026-01-02T15:04:05Z")
        _ = try patch(["metadata": ["finalizers": .null]])
        #expect(registry.store.object(.persistentVolumeClaims, key) == nil)
    }

    @Test mutating func `deletion has preconditions`() throws {
        try create()
        let error = #expect(throws: StatusError.self) {
            try registry.delete(
                .persistentVolumeClaims,
                namespace: "default",
                name: "csi-pvc",
                preconditions: ["uid": "other"],
                now: Self.now
            )
        }
        #expect((error?.code, error?.reason) == (409, "Conflict"))
    }

    @Test mutating func `deleting a namespace deletes its objects`() throws {
        _ = try create(.namespaces, ["metadata": ["name": "team"]])
        _ = try registry.create(
            .persistentVolumeClaims,
            Self.claim,
            namespace: "team",
            as: .client,
            now: Self.now
        )
        _ = try registry.delete(.namespaces, namespace: "", name: "team", now: Self.now)
        #expect(throws: StatusError.self) {
            try registry.get(.persistentVolumeClaims, namespace: "team", name: "csi-pvc")
        }
    }
}
