// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthMonitorTestKit
import KubernetesAPI
import KubernetesClient
import Testing

@Suite(.timeLimit(.minutes(50))) struct ListAndWatchTests {
    @Test func `a list comes in pages`() async throws {
        try await TestCluster.with { cluster in
            for number in 1...7 { try cluster.server.create(.volume("pv-\(number)")) }
            let pages = try await cluster.client.list(PersistentVolume.self, limit: 3).collected()
            let names = try pages.map { try $0.items.map(\.metadata.name) }
            #expect(names == [["pv-1", "pv-2", "pv-3"], ["pv-4", "pv-5", "pv-6"], ["pv-7"]])
            #expect(Set(pages.map(\.resourceVersion)).count == 1)
            #expect(try pages[0].items[0].spec.persistentVolumeSource.csi.volumeHandle == "handle-pv-1")
            let queries = cluster.server.journal.records.map(\.request.query)
            #expect(queries.map { $0["limit"] } == ["3", "3", "3"])
            #expect(queries.map { $0["continue"] != nil } == [false, true, true])
        }
    }

    @Test func `an empty list is one page`() async throws {
        try await TestCluster.with { cluster in
            let pages = try await cluster.client.list(PersistentVolume.self).collected()
            #expect(pages.count == 1)
            #expect(try pages[0].items.isEmpty)
            #expect(Int(pages[0].resourceVersion) != nil)
        }
    }

    @Test func `a list that expires between pages fails`() async throws {
        try await TestCluster.with { cluster in
            for number in 1...2 { try cluster.server.create(.volume("pv-\(number)")) }
            var pages = cluster.client.list(PersistentVolume.self, limit: 1).makeAsyncIterator()
            #expect(try await pages.next()?.items.count == 1)
            cluster.server.compact()
            do throws(KubernetesError) {
                _ = try await pages.next()
                Issue.record("the second page came")
            } catch {
                #expect(error.code == .expired)
            }
            #expect(try await pages.next() == nil)
        }
    }

    @Test func `a list selects by namespace and fields`() async throws {
        try await TestCluster.with { cluster in
            for (name, namespace) in [("a", "default"), ("b", "default"), ("a", "kube-system")] {
                try cluster.server.create([
                    "kind": "Lease", "metadata": ["name": .string(name), "namespace": .string(namespace)],
                ])
            }
            func names(_ selection: Selection) async throws -> [String] {
                try await cluster.client.list(Lease.self, selection).collected()
                    .flatMap { try $0.items.map { "\($0.metadata.namespace)/\($0.metadata.name)" } }
            }
            #expect(try await names(Selection()).count == 3)
            #expect(try await names(Selection(namespace: "default")) == ["default/a", "default/b"])
            #expect(
                try await names(Selection(namespace: "default", fieldSelector: "metadata.name=b")) == ["default/b"]
            )
        }
    }

    @Test func `a watch delivers changes and bookmarks`() async throws {
        try await TestCluster.with { cluster in
            let page = try await cluster.client.list(PersistentVolume.self).collected()[0]
            let watch = try await cluster.client.watch(
                PersistentVolume.self,
                resourceVersion: page.resourceVersion,
                timeout: .seconds(77)
            )
            try cluster.server.create(.volume("pv"))
            try cluster.server.patch(kind: "PersistentVolume", name: "pv", ["status": ["phase": "Bound"]])
            try cluster.server.delete(kind: "PersistentVolume", name: "pv")
            cluster.server.watches[0].sendBookmark()
            cluster.server.watches[0].end()
            let changes = try await watch.collected().map { change in
                switch change {
                case .added(let volume): "added \(volume.metadata.name) \(volume.status.phase)"
                case .modified(let volume): "modified \(volume.metadata.name) \(volume.status.phase)"
                case .deleted(let volume): "deleted \(volume.metadata.name) \(volume.status.phase)"
                case .bookmark: "bookmark"
                }
            }
            #expect(changes == ["added pv Pending", "modified pv Bound", "deleted pv Bound", "bookmark"])
            let query = cluster.server.journal.records.last?.request.query
            #expect(query?["timeoutSeconds"] == "77")
            #expect(query?["allowWatchBookmarks"] == "true")
        }
    }

    @Test func `a watch from an expired version fails`() async throws {
        try await TestCluster.with { cluster in
            try cluster.server.create(.volume("pv"))
            cluster.server.compact()
            let watch = try await cluster.client.watch(PersistentVolume.self, resourceVersion: "1")
            let error = await #expect(throws: KubernetesError.self) { try await watch.collected() }
            #expect(error?.code == .expired)
        }
    }

    @Test(arguments: 1..<20)
    func `a watch that is truncated within a frame fails`(_ bytes: Int) async throws {
        try await TestCluster.with { cluster in
            let watch = try await cluster.client.watch(PersistentVolume.self, resourceVersion: "1")
            cluster.server.watches[0].cut(afterBytes: bytes)
            let error = await #expect(throws: KubernetesError.self) { try await watch.collected() }
            #expect(error?.code == .transport)
        }
    }

    @Test(arguments: [[0xFF, 0xFF, 0xFF, 0xFF], [0, 0, 0, 2, 0x7B, 0x7D]] as [[UInt8]])
    func `malformed bytes in a watch are an error`(_ bytes: [UInt8]) async throws {
        try await TestCluster.with { cluster in
            let watch = try await cluster.client.watch(PersistentVolume.self, resourceVersion: "1")
            cluster.server.watches[0].send(bytes)
            let error = await #expect(throws: KubernetesError.self) { try await watch.collected() }
            #expect(error?.code == .decoding)
        }
    }
}
