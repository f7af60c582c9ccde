// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthMonitorTestKit
import KubernetesAPI
import KubernetesClient
import SwiftProtobuf
import Testing

@Suite(.timeLimit(.minutes(30))) struct ObjectRequestTests {
    @Test func `objects are created, read, updated and patched`() async throws {
        try await TestCluster.with { cluster in
            let created = try await cluster.client.create(Lease.named("lock", holder: "a"))
            #expect(created.metadata.uid != "")
            #expect(created.spec.holderIdentity == "a")

            var lease = try await cluster.client.get(Lease.self, name: "lock", namespace: "default")
            #expect(lease == created)
            lease.spec.holderIdentity = "b"
            lease = try await cluster.client.update(lease)
            #expect(lease.spec.holderIdentity == "b")
            #expect(lease.metadata.resourceVersion != created.metadata.resourceVersion)

            let patched = try await cluster.client.patch(
                Lease.self,
                name: "lock",
                namespace: "default",
                ["metadata": ["labels": ["app": "x"]], "spec": ["holderIdentity": nil]]
            )
            #expect(patched.metadata.labels == ["app": "x"])
            #expect(!patched.spec.hasHolderIdentity)
            #expect(
                cluster.requests == ["create leases 201", "get leases 200", "update leases 200", "patch leases 200"]
            )
            let records = cluster.server.journal.records
            #expect(records.allSatisfy { $0.request.userAgent == "test/1.0" })
            #expect(
                records.map(\.request.contentType)[1...] == [
                    "", "application/vnd.kubernetes.protobuf", "application/merge-patch+json",
                ]
            )
        }
    }

    @Test func `an update keeps unknown fields`() async throws {
        try await TestCluster.with { cluster in
            let owner: JSONValue = ["apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "u"]
            try cluster.server.create([
                "kind": "Lease", "metadata": ["name": "lock", "ownerReferences": [owner]],
                "spec": ["holderIdentity": "a"],
            ])
            var lease = try await cluster.client.get(Lease.self, name: "lock", namespace: "default")
            lease.spec.holderIdentity = "b"
            try await cluster.client.update(lease)
            let stored = try cluster.server.object(kind: "Lease", namespace: "default", name: "lock")
            #expect(stored?["metadata", "ownerReferences"] == [owner])
            #expect(stored?["spec", "holderIdentity"] == "b")
        }
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

            let lease = try await client.create(Lease.named("lock", holder: "a"))
            error = await #expect(throws: KubernetesError.self) {
                try await client.create(Lease.named("lock", holder: "b"))
            }
            #expect(error?.code == .alreadyExists)

            try await client.update(lease)
            var stale = lease
            stale.spec.holderIdentity = "b"
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
