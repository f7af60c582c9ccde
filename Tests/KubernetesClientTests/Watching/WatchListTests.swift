// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthMonitorTestKit
import KubernetesAPI
import SwiftProtobuf
import Testing

@testable import KubernetesClient

/// A watcher with streaming lists (`sendInitialEvents`), and its fallback to paged lists.
@Suite(.timeLimit(.minutes(50))) struct WatchListTests {
    private typealias Events = Watcher<PersistentVolume>.AsyncIterator

    private func events(_ cluster: TestCluster, lifetime: WatchLifetime = .long, random: Double = 0) -> Events {
        var watcher = Watcher<PersistentVolume>(client: cluster.client, lifetime: lifetime, logger: cluster.logger)
        watcher.random = { random }
        return watcher.makeAsyncIterator()
    }

    /// The events up to the end of the next list, with one `listed NAME` for each object: how many objects an event has
    /// depends on the network.
    private func list(_ events: inout Events) async throws -> [String] {
        var texts: [String] = []
        while texts.last != "synced", let event = try await events.next() {
            if case .listed(let volumes) = event {
                #expect(!volumes.isEmpty)
                texts += volumes.map { "listed \($0.metadata.name)" }
            } else {
                texts.append(event.text)
            }
        }
        return texts
    }

    /// The requests so far: `stream` for a streaming list, otherwise the verb.
    private func requests(_ cluster: TestCluster) -> [String] {
        cluster.server.journal.records.map(\.request).map { request in
            request.isStreamingList ? "stream" : request.verb?.rawValue ?? "none"
        }
    }

    @Test func `the list and later changes arrive in one stream`() async throws {
        try await TestCluster.with(streamsLists: true) { cluster in
            for name in ["a", "b", "c"] { try cluster.server.create(.volume(name)) }
            var events = events(cluster, random: 0.999)
            #expect(try await list(&events) == ["restarted", "listed a", "listed b", "listed c", "synced"])
            try cluster.server.create(.volume("d"))
            try cluster.server.patch(kind: "PersistentVolume", name: "a", ["status": ["phase": "Bound"]])
            try cluster.server.delete(kind: "PersistentVolume", name: "b")
            try await expect(&events, "applied d", "applied a", "deleted b")
            #expect(requests(cluster) == ["stream"])
            let query = cluster.server.journal.records[0].request.query
            #expect(query["resourceVersionMatch"] == "NotOlderThan")
            #expect(query["allowWatchBookmarks"] == "true")
            #expect(query["timeoutSeconds"] == "599")
            #expect(query["resourceVersion"] == nil)
        }
    }

    @Test func `a stream that ends continues as a watch`() async throws {
        try await TestCluster.with(streamsLists: true) { cluster in
            var events = events(cluster)
            #expect(try await list(&events) == ["restarted", "synced"])
            let server = cluster.server
            try server.create(.volume("a"))
            try await expect(&events, "applied a")
            server.intercept { request in
                if request.verb == .watch { _ = try? server.create(.volume("b")) }
                return nil
            }
            server.watches[0].end()
            try await expect(&events, "applied b")
            #expect(requests(cluster) == ["stream", "watch"])
            #expect(cluster.clock.sleeps.isEmpty)
        }
    }

    /// A short timeout of the stream would end a long list.
    @Test func `with a short lifetime, the watch after the list is another one`() async throws {
        try await TestCluster.with(streamsLists: true) { cluster in
            try cluster.server.create(.volume("a"))
            var events = events(cluster, lifetime: .short)
            #expect(try await list(&events) == ["restarted", "listed a", "synced"])
            try cluster.server.create(.volume("b"))
            try await expect(&events, "applied b")
            #expect(requests(cluster) == ["stream", "watch"])
            let queries = cluster.server.journal.records.map(\.request.query)
            #expect(queries.map { $0["timeoutSeconds"] } == ["300", "25"])
            #expect(cluster.clock.sleeps.isEmpty)
        }
    }

    @Test func `after an expired version a new list is streamed`() async throws {
        try await TestCluster.with(streamsLists: true) { cluster in
            try cluster.server.create(.volume("a"))
            var events = events(cluster)
            #expect(try await list(&events) == ["restarted", "listed a", "synced"])
            cluster.server.watches[0].fail(StatusError(code: 410, reason: "Expired", message: "too old"))
            #expect(try await list(&events) == ["restarted", "listed a", "synced"])
            #expect(requests(cluster) == ["stream", "stream"])
        }
    }

    /// Between the first object and the bookmark, the server may send any event of a watch.
    @Test func `changes may arrive within the list`() async throws {
        try await TestCluster.with(streamsLists: true) { cluster in
            func volume(_ name: String, _ version: String) -> PersistentVolume {
                .with {
                    $0.metadata.name = name
                    $0.metadata.resourceVersion = version
                }
            }
            var end = volume("", "9")
            end.metadata.annotations = ["k8s.io/initial-events-end": "true"]
            let frames = try [
                // Initial events are not in the order of their versions.
                frame("ADDED", volume("a", "7")), frame("ADDED", volume("b", "3")), frame("MODIFIED", volume("a", "8")),
                frame("DELETED", volume("b", "9")), frame("BOOKMARK", volume("", "8")),
                frame("ADDED", volume("c", "9")),
                frame("BOOKMARK", end), frame("MODIFIED", volume("c", "10")),
            ]
            let streamed = Collected<Bool>()
            cluster.server.intercept { request in
                guard streamed.values.isEmpty else { return nil }
                streamed.append(true)
                return .respond(status: 200, body: frames.flatMap(\.self))
            }
            var events = events(cluster)
            #expect(
                try await list(&events) == [
                    "restarted", "listed a", "listed b", "listed a", "deleted b", "listed c", "synced",
                ]
            )
            try await expect(&events, "applied c")
        }
    }

    @Test func `a server without streaming lists is listed in pages without a delay`() async throws {
        try await TestCluster.with { cluster in
            try cluster.server.create(.volume("a"))
            var events = events(cluster)
            #expect(try await list(&events) == ["restarted", "listed a", "synced"])
            #expect(requests(cluster) == ["stream", "list"])
            #expect(cluster.clock.sleeps.isEmpty)
            #expect(!cluster.log.contains { $0.hasPrefix("warning") || $0.hasPrefix("info") })
        }
    }

    /// With an etcd that cannot report its progress (older than 3.5.13), the rejection comes after the response
    /// headers.
    @Test func `a rejection within the stream is followed by a paged list without a delay`() async throws {
        try await TestCluster.with(streamsLists: true) { cluster in
            try cluster.server.create(.volume("a"))
            var status = Status()
            status.code = 500
            status.reason = "InternalError"
            status.message = "required storage feature RequestWatchProgress is disabled"
            let rejection = try frame("ERROR", status, kind: "Status")
            cluster.server.intercept { request in
                request.isStreamingList ? .respond(status: 200, body: rejection) : nil
            }
            var events = events(cluster)
            #expect(try await list(&events) == ["restarted", "restarted", "listed a", "synced"])
            #expect(requests(cluster) == ["stream", "list"])
            #expect(cluster.clock.sleeps.isEmpty)
            #expect(!cluster.log.contains { $0.hasPrefix("warning") })
        }
    }

    @Test(arguments: [404, 502, 503])
    func `after a streaming list that a load balancer has refused the next one is streamed`(status: Int) async throws {
        try await TestCluster.with(streamsLists: true) { cluster in
            try cluster.server.create(.volume("a"))
            let refused = Collected<Void>()
            cluster.server.intercept { request in
                guard request.isStreamingList, refused.values.isEmpty else { return nil }
                refused.append(())
                return .respond(status: status, body: Array("<h1>no backend</h1>".utf8))
            }
            var events = events(cluster)
            #expect(try await list(&events) == ["restarted", "listed a", "synced"])
            try cluster.server.create(.volume("b"))
            try await expect(&events, "applied b")
            cluster.server.watches[0].fail(StatusError(code: 410, reason: "Expired", message: "too old"))
            #expect(try await list(&events) == ["restarted", "listed a", "listed b", "synced"])
            #expect(requests(cluster) == ["stream", "list", "watch", "stream"])
        }
    }

    /// Wherever the stream is truncated, the whole list is requested again, in pages.
    @Test func `a truncated stream is followed by a paged list`() async throws {
        try await TestCluster.with(streamsLists: true) { cluster in
            for name in ["a", "b"] { try cluster.server.create(.volume(name)) }
            var initial: [UInt8] = []
            for name in ["a", "b"] { initial += try frame("ADDED", .with { $0.metadata.name = name }) }
            for length in stride(from: 0, through: initial.count, by: 7) {
                let cut = Array(initial.prefix(length))
                cluster.server.intercept { request in
                    request.isStreamingList ? .respond(status: 200, body: cut) : nil
                }
                var events = events(cluster)
                let texts = try await list(&events)
                #expect(
                    texts.suffix(4) == ["restarted", "listed a", "listed b", "synced"],
                    "cut after \(length) bytes"
                )
                #expect(texts.first == "restarted")
                #expect(requests(cluster).suffix(2) == ["stream", "list"])
            }
        }
    }

    @Test func `many objects are listed in batches of at most 100`() async throws {
        try await TestCluster.with(streamsLists: true) { cluster in
            let names = (0..<1000).map { "pv-\($0)" }
            for name in names { try cluster.server.create(.volume(name)) }
            var events = events(cluster)
            try await expect(&events, "restarted")
            var listed: [String] = []
            while case .listed(let volumes) = try await events.next() {
                #expect(volumes.count <= 100)
                listed += volumes.map(\.metadata.name)
            }
            #expect(listed.sorted() == names.sorted())
        }
    }
}
