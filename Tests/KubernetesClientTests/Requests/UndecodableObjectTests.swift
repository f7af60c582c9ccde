// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthMonitorTestKit
import KubernetesAPI
import SwiftProtobuf
import Testing

@testable import KubernetesClient

/// The API server stores what a client has sent in protobuf, including strings that are not UTF-8.
@Suite(.timeLimit(.minutes(50))) struct UndecodableObjectTests {
    /// `spec.nothing.csi.volumeHandle` is truncated.
    private static let truncated: [UInt8] = [0x12, 5, 0x12, 3, 0xB2, 1, 9]
    /// `metadata.annotations["a"]` is FF.
    private static let annotation: [UInt8] = [0x0A, 8, 0x62, 6, 0x0A, 1, 0x61, 0x12, 1, 0xFF]

    private func warnings(_ cluster: TestCluster) -> [String] {
        cluster.log.filter { $0.hasPrefix("warning ") }
    }

    @Test func `a paged list skips an undecodable object`() async throws {
        try await TestCluster.with { cluster in
            try cluster.server.create(.volume("a"))
            try cluster.server.create(.volume("b"), appending: Self.truncated)
            try cluster.server.create(.volume("c"))
            for _ in 0..<2 {
                let pages = try await cluster.client.list(PersistentVolume.self, limit: 2).collected()
                #expect(try pages.map { try $0.items.map(\.metadata.name) } == [["a"], ["c"]])
            }
            #expect(cluster.skipped.values.map(\.name) == ["b", "b"])
            #expect(cluster.skipped.values.map(\.resource) == ["persistentvolumes", "persistentvolumes"])
            let warnings = warnings(cluster)
            #expect(warnings.count == 1)
            #expect(warnings.first?.contains("Skipped undecodable object") == true)
            #expect(warnings.first?.contains("b") == true)
        }
    }

    @Test(arguments: [true, false])
    func `a watcher skips an undecodable object, and keeps its resourceVersion`(streamsLists: Bool) async throws {
        try await TestCluster.with(streamsLists: streamsLists) { cluster in
            try cluster.server.create(.volume("a"))
            try cluster.server.create(.volume("b"), appending: Self.truncated)
            try cluster.server.create(.volume("c"))
            var watcher = Watcher<PersistentVolume>(client: cluster.client, logger: cluster.logger)
            watcher.random = { 0 }
            var events = watcher.makeAsyncIterator()
            var listed: [String] = []
            loop: while let event = try await events.next() {
                switch event {
                case .listed(let volumes): listed += volumes.map(\.metadata.name)
                case .synced: break loop
                default: break
                }
            }
            #expect(listed == ["a", "c"])

            let last = try cluster.server.create(.volume("d"), appending: Self.truncated)
            let version = last["metadata", "resourceVersion"]?.string
            try cluster.server.create(.volume("e"))
            guard case .applied(let volume) = try await events.next() else {
                Issue.record("the volume behind it is not applied")
                return
            }
            #expect(volume.metadata.name == "e")
            #expect(cluster.skipped.values.map(\.name) == ["b", "d"])
            #expect(cluster.skipped.values.last?.resourceVersion == version)
            let lists = cluster.server.journal.records.filter {
                $0.request.verb == .list || $0.request.isStreamingList
            }
            // A server without streaming lists rejects the first.
            #expect(lists.count == (streamsLists ? 1 : 2))
        }
    }

    @Test func `a watch continues after the resourceVersion of an undecodable object`() async throws {
        try await TestCluster.with { cluster in
            let page = try await cluster.client.list(PersistentVolume.self).collected()[0]
            let watch = try await cluster.client.watch(PersistentVolume.self, resourceVersion: page.resourceVersion)
            let stored = try cluster.server.create(.volume("b"), appending: Self.truncated)
            cluster.server.watches[0].end()
            let changes = try await watch.collected()
            #expect(changes.map(\.resourceVersion) == [stored["metadata", "resourceVersion"]?.string])
        }
    }

    @Test func `pods, nodes and events with strings that are not UTF-8 are read`() async throws {
        try await TestCluster.with { cluster in
            let server = cluster.server
            try NodeFixture(name: "worker").store(in: server)
            try server.create(
                ["kind": "Node", "metadata": ["name": "other"], "status": ["conditions": [["type": "Ready"]]]],
                appending: Self.annotation
            )
            let nodes = try await cluster.client.list(Node.self).collected().flatMap { try $0.items }
            #expect(nodes.map(\.metadata.name) == ["other", "worker"])
            #expect(nodes.map(\.status.conditions.last?.type) == ["Ready", "Ready"])

            // spec.volumes: name "v", persistentVolumeClaim.claimName FF
            let volume: [UInt8] = [0x0A, 1, 0x76, 0x12, 5, 0x52, 3, 0x0A, 1, 0xFF]
            try server.create(
                ["kind": "Pod", "metadata": ["name": "pod"], "spec": ["nodeName": "worker"]],
                appending: Self.annotation + [0x12, 12, 0x0A, 10] + volume
            )
            let pods = try await cluster.client.list(Pod.self).collected().flatMap { try $0.items }
            #expect(pods.map(\.metadata.name) == ["pod"])
            #expect(pods.map(\.spec.nodeName) == ["worker"])
            #expect(pods[0].spec.volumes.map(\.volumeSource.persistentVolumeClaim.claimName) == ["\u{FFFD}"])

            try server.create(
                [
                    "kind": "Event", "metadata": ["namespace": "default", "name": "event"], "reason": "Bad",
                    "involvedObject": ["kind": "Pod", "namespace": "default", "name": "pod", "uid": "u"],
                    "lastTimestamp": "2026-01-01T00:00:00Z", "count": 3,
                ],
                appending: Self.annotation + [0x22, 1, 0xFF]
            )
            let events = try await cluster.client.list(Event.self).collected().flatMap { try $0.items }
            #expect(events.map(\.metadata.name) == ["event"])
            #expect(events.map(\.message) == ["\u{FFFD}"])
            #expect(events.map(\.count) == [3])
            #expect(events.map(\.lastTimestamp.seconds) == [1_767_225_600])
            #expect(events.map(\.involvedObject.uid) == ["u"])
            #expect(cluster.skipped.values.isEmpty)
        }
    }

    /// An event of core/v1 may have a message of a megabyte, and a list of more of them than memory has room for.
    @Test func `pages that are too large are requested again with fewer objects until they fit`() async throws {
        try await TestCluster.with { cluster in
            let names = (10..<34).map { "event-\($0)" }
            for name in names {
                try cluster.server.create([
                    "kind": "Event", "metadata": ["namespace": "default", "name": .string(name)],
                    "message": .string(String(repeating: "x", count: 1 << 20)),
                ])
            }
            let pages = try await cluster.client.list(RecordedEvent.self, limit: 40).collected()
            #expect(try pages.map { try $0.items.count } == [10, 10, 4])
            let queries = cluster.server.journal.records.map(\.request.query)
            #expect(queries.map { $0["limit"] } == ["40", "20", "10", "10", "10"])
            #expect(queries.map { $0["continue"] != nil } == [false, false, false, true, true])
            #expect(cluster.skipped.values.isEmpty)
        }
    }

    /// The largest object that the API server may store: twice what it accepts in a request.
    @Test func `a page of one object always fits`() async throws {
        try await TestCluster.with { cluster in
            try cluster.server.create([
                "kind": "Event", "metadata": ["namespace": "default", "name": "event"],
                "message": .string(String(repeating: "x", count: 6 << 20)),
            ])
            let pages = try await cluster.client.list(RecordedEvent.self, limit: 1).collected()
            #expect(try pages.map { try $0.items.count } == [1])
        }
    }
}
