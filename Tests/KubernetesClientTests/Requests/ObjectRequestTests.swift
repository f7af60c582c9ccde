// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthMonitorTestKit
import KubernetesAPI
import KubernetesClient
import SwiftProtobuf
import Testing

@Suite(.timeLimit(.minutes(50))) struct ObjectRequestTests {
    @Test func `objects are created, read, updated and patched`() async throws {
        try await TestCluster.with { cluster in
            let created = try await cluster.client.create(Lease.named("lock", holder: "a"))
            #expect(created.metadata.uid != "")
            #expect(created.spec.holderIdentity == "a")

            #expect(try await cluster.client.get(Lease.self, name: "lock", namespace: "default") == created)
            var stored: StoredLease = try await cluster.client.get(name: "lock", namespace: "default")
            #expect(stored.lease == created)
            stored.lease.spec.holderIdentity = "b"
            stored = try await cluster.client.update(stored)
            #expect(stored.lease.spec.holderIdentity == "b")
            #expect(stored.resourceVersion != created.resourceVersion)

            let patched = try await cluster.client.patch(
                Lease.self,
                name: "lock",
                namespace: "default",
                ["metadata": ["labels": ["app": "x"]], "spec": ["holderIdentity": nil]]
            )
            #expect(patched.metadata.labels == ["app": "x"])
            #expect(!patched.spec.hasHolderIdentity)
            #expect(
                cluster.requests == [
                    "create leases 201", "get leases 200", "get leases 200", "update leases 200", "patch leases 200",
                ]
            )
            let records = cluster.server.journal.records
            #expect(records.allSatisfy { $0.request.userAgent == "test/1.0" })
            #expect(
                records.map(\.request.contentType)[1...] == [
                    "", "", "application/vnd.kubernetes.protobuf", "application/merge-patch+json",
                ]
            )
        }
    }

    /// Annotations and owner references are not validated: they may be any bytes.
    @Test func `an update of a Lease keeps all other fields, byte for byte`() async throws {
        try await TestCluster.with { cluster in
            let invalid = JSONValue.string(String(storedBytes: [0x61, 0xFF, 0xC3, 0x62]))
            let owner: JSONValue = ["apiVersion": "v1", "kind": "Pod", "name": invalid, "uid": "u"]
            try cluster.server.create([
                "kind": "Lease",
                "metadata": [
                    "name": "lock", "ownerReferences": [owner], "annotations": ["a": invalid],
                    "labels": ["app": "x", "team": "y"],
                ],
                "spec": ["holderIdentity": invalid],
            ])
            var stored: StoredLease = try await cluster.client.get(name: "lock", namespace: "default")
            #expect(stored.lease.spec.holderIdentity == "a\u{FFFD}\u{FFFD}b")
            stored.lease.spec.holderIdentity = "b"
            stored.lease.metadata.labels = ["app": "z"]
            let written = try await cluster.client.update(stored)
            let lease = try cluster.server.object(kind: "Lease", namespace: "default", name: "lock")
            #expect(lease?["metadata", "ownerReferences"] == [owner])
            #expect(lease?["metadata", "annotations"] == ["a": invalid])
            #expect(lease?["metadata", "labels"] == ["app": "z", "team": "y"])
            #expect(lease?["spec", "holderIdentity"] == "b")
            #expect(written.lease.spec.holderIdentity == "b")
        }
    }

    @Test func `fields that a Lease gets in later versions are kept by an update`() throws {
        // Field 100 of the Lease, of its metadata and of its spec, and a second field with the spec.
        let field: [UInt8] = [0xA2, 0x06, 1, 0xFF]
        let bytes = [0x0A, 7, 0x1A, 1, 0x6E] + field + [0x12, 7, 0x0A, 1, 0x68] + field + field + [0x12, 2, 0x10, 9]
        var stored = try StoredLease(reading: bytes.span)
        #expect(stored.lease.metadata.namespace == "n")
        #expect(stored.lease.spec.leaseDurationSeconds == 9)
        stored.lease.spec.holderIdentity = "i"
        let encoded = try stored.encoded()
        #expect(encoded == [0x0A, 7] + field + [0x1A, 1, 0x6E, 0x12, 9] + field + [0x0A, 1, 0x69, 0x10, 9] + field)
        #expect(try StoredLease(reading: encoded.span) == stored)
    }

    @Test func `a status subresource is patched`() async throws {
        try await TestCluster.with { cluster in
            try cluster.server.create(.volume("pv"))
            let volume = try await cluster.client.patch(
                PersistentVolume.self,
                name: "pv",
                ["status": ["phase": "Bound"]],
                subresource: "status"
            )
            #expect(volume.status.phase == "Bound")
            #expect(cluster.server.journal.records.last?.request.subresource == "status")
        }
    }

    @Test func `rejections have their own codes`() async throws {
        try await TestCluster.with { cluster in
            let client = cluster.client
            var error = await #expect(throws: KubernetesError.self) {
                try await client.get(Lease.self, name: "none", namespace: "default")
            }
            #expect(error?.code == .notFound)
            #expect(error?.status?.details.name == "none")
            #expect(error?.message == #"get leases default/none: 404: leases.coordination.k8s.io "none" not found"#)

            try await client.create(Lease.named("lock", holder: "a"))
            error = await #expect(throws: KubernetesError.self) {
                try await client.create(Lease.named("lock", holder: "b"))
            }
            #expect(error?.code == .alreadyExists)

            let lease: StoredLease = try await client.get(name: "lock", namespace: "default")
            try await client.update(lease)
            var stale = lease
            stale.lease.spec.holderIdentity = "b"
            try await client.update(stale)
            error = await #expect(throws: KubernetesError.self) { try await client.update(stale) }
            #expect(error?.code == .conflict)

            error = await #expect(throws: KubernetesError.self) {
                try await client.create(Lease.named("Not_A_Name", holder: "a"))
            }
            #expect(error?.code == .invalid)
            #expect(error?.status?.details.causes.isEmpty == false)
        }
    }

    @Test(arguments: ["", ".", ".."])
    func `names that would change the path are rejected`(_ name: String) async throws {
        try await TestCluster.with { cluster in
            let error = await #expect(throws: KubernetesError.self) {
                try await cluster.client.get(Lease.self, name: name, namespace: "default")
            }
            #expect(error?.code == .badRequest)
            #expect(cluster.requests.isEmpty)
        }
    }
}
