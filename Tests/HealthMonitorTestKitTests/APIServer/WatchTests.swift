// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Testing

@testable import HealthMonitorTestKit

@Suite(.timeLimit(.minutes(50))) struct WatchTests {
    static let leases = "/apis/coordination.k8s.io/v1/namespaces/default/leases"

    static func lease(_ name: String, label: String? = nil) -> JSONValue {
        var lease: JSONValue = ["kind": "Lease", "metadata": ["name": .string(name)]]
        lease["metadata", "labels", "l"] = label.map { .string($0) }
        return lease
    }

    /// Opens a watch of leases; `body` gets the server, the server's handle of the watch and its events.
    func withWatch(
        _ query: [String: String] = [:],
        accept: String = Representation.jsonType,
        configuration: SimulatedAPIServer.Configuration = .init(),
        prepare: (SimulatedAPIServer) throws -> Void = { _ in },
        _ body: (SimulatedAPIServer, WatchHandle, inout WatchReader) async throws -> Void
    ) async throws {
        try await withClient(configuration) { server, client in
            try prepare(server)
            let query = query.merging(["watch": "true"]) { first, _ in first }
            var reader = try await client.watch(Self.leases, query: query, accept: accept)
            _ = await server.journal.first { $0.request.verb == .watch }
            let handle = try #require(server.watches.first)
            try await body(server, handle, &reader)
        }
    }

    static func patch(_ server: SimulatedAPIServer, _ name: String, label: String) throws {
        try server.patch(
            kind: "Lease",
            namespace: "default",
            name: name,
            ["metadata": ["labels": ["l": .string(label)]]]
        )
    }

    @Test(arguments: [Representation.jsonType, Representation.protobufType])
    func `changes are reported in order`(accept: String) async throws {
        try await withWatch(accept: accept) { server, _, events in
            try server.create(Self.lease("a"))
            try Self.patch(server, "a", label: "1")
            try server.delete(kind: "Lease", namespace: "default", name: "a")
            let reported = [try await events.next(), try await events.next(), try await events.next()]
            #expect(reported.map(\.?.type) == ["ADDED", "MODIFIED", "DELETED"])
            let versions = reported.compactMap { $0?.object["metadata", "resourceVersion"]?.string }.compactMap {
                Int($0)
            }
            #expect(versions.count == 3)
            #expect(versions == [versions[0], versions[0] + 1, versions[0] + 2])
            #expect(reported[2]?.object["metadata", "labels", "l"] == "1")
            let uids = Set(reported.map { $0?.object["metadata", "uid"] })
            #expect(uids.count == 1)
        }
    }

    @Test(arguments: ["", "0"]) func `without a resource version, a watch begins with the present objects`(
        version: String
    ) async throws {
        func prepare(_ server: SimulatedAPIServer) throws { try server.create(Self.lease("old")) }
        try await withWatch(["resourceVersion": version], prepare: prepare) { server, _, events in
            try server.create(Self.lease("new"))
            for name in ["old", "new"] {
                let event = try await events.next()
                #expect(event?.type == "ADDED")
                #expect(event?.object["metadata", "name"]?.string == name)
            }
        }
    }

    @Test func `a watch resumes after a resource version`() async throws {
        try await withClient { server, client in
            let version = try server.create(Self.lease("a"))["metadata", "resourceVersion"]?.string ?? ""
            try server.create(Self.lease("b"))
            var events = try await client.watch(Self.leases, query: ["watch": "1", "resourceVersion": version])
            let event = try await events.next()
            #expect(event?.object["metadata", "name"] == "b")
        }
    }

    @Test func `an object that joins or leaves the selection is reported`() async throws {
        try await withWatch(["labelSelector": "l=in"]) { server, _, events in
            try server.create(Self.lease("a", label: "out"))
            try Self.patch(server, "a", label: "in")
            try Self.patch(server, "a", label: "out")
            let reported = [try await events.next(), try await events.next()]
            #expect(reported.map(\.?.type) == ["ADDED", "DELETED"])
            #expect(reported.map { $0?.object["metadata", "labels", "l"] } == ["in", "in"])
            let last = try server.object(kind: "Lease", namespace: "default", name: "a")
            #expect(reported[1]?.object["metadata", "resourceVersion"] == last?["metadata", "resourceVersion"])
        }
    }

    @Test func `a write without a change is not reported`() async throws {
        try await withWatch { server, _, events in
            try server.create(Self.lease("a", label: "1"))
            try Self.patch(server, "a", label: "1")
            try Self.patch(server, "a", label: "2")
            let reported = [try await events.next(), try await events.next()]
            #expect(reported.map(\.?.type) == ["ADDED", "MODIFIED"])
            #expect(reported.map { $0?.object["metadata", "labels", "l"] } == ["1", "2"])
        }
    }

    @Test func `a bookmark has the latest resource version`() async throws {
        try await withWatch(["allowWatchBookmarks": "true"]) { server, watch, events in
            let version = try server.create([
                "kind": "Namespace", "metadata": ["name": "team"],
            ])["metadata", "resourceVersion"]
            watch.sendBookmark()
            let event = try await events.next()
            #expect(event?.type == "BOOKMARK")
            #expect(event?.object["metadata", "resourceVersion"] == version)
        }
    }

    @Test func `bookmarks are sent only when the request allows them`() async throws {
        try await withWatch { server, watch, events in
            watch.sendBookmark()
            try server.create(Self.lease("a"))
            let event = try await events.next()
            #expect(event?.type == "ADDED")
        }
    }

    @Test func `bookmarks are sent periodically`() async throws {
        let clock = ManualClock()
        var configuration = SimulatedAPIServer.Configuration()
        configuration.clock = clock
        try await withWatch(["allowWatchBookmarks": "true"], configuration: configuration) { _, _, events in
            for _ in 0..<2 {
                await clock.sleeper()
                clock.advance(by: configuration.bookmarkInterval)
                let event = try await events.next()
                #expect(event?.type == "BOOKMARK")
            }
        }
    }

    @Test(arguments: [Representation.jsonType, Representation.protobufType])
    func `a compacted resource version is an ERROR event in the watch`(accept: String) async throws {
        try await withClient { server, client in
            try server.create(Self.lease("a"))
            server.compact()
            let query = ["watch": "true", "resourceVersion": "1"]
            var events = try await client.watch(Self.leases, query: query, accept: accept)
            let event = try await events.next()
            #expect(event?.type == "ERROR")
            #expect(event?.object["code"] == 410)
            #expect(event?.object["reason"] == "Expired")
            let end = try await events.next()
            #expect(end == nil)
        }
    }

    @Test func `ending a watch comes after earlier changes`() async throws {
        try await withWatch { server, watch, events in
            try server.create(Self.lease("a"))
            watch.end()
            let event = try await events.next()
            #expect(event?.type == "ADDED")
            let end = try await events.next()
            #expect(end == nil)
        }
    }

    @Test func `a watch ends after its timeout`() async throws {
        let clock = ManualClock()
        var configuration = SimulatedAPIServer.Configuration()
        configuration.clock = clock
        try await withWatch(["timeoutSeconds": "300"], configuration: configuration) { _, _, events in
            #expect(await clock.sleeper() == .seconds(300))
            clock.advance(by: .seconds(300))
            let end = try await events.next()
            #expect(end == nil)
        }
    }

    @Test func `a bookmark comes two seconds before the timeout`() async throws {
        let clock = ManualClock()
        var configuration = SimulatedAPIServer.Configuration()
        configuration.clock = clock
        let query = ["allowWatchBookmarks": "true", "timeoutSeconds": "30"]
        try await withWatch(query, configuration: configuration) { _, _, events in
            // The timeout, this bookmark, and that of every minute.
            await clock.sleepers(3)
            clock.advance(by: .seconds(28))
            let bookmark = try await events.next()
            #expect(bookmark?.type == "BOOKMARK")
            clock.advance(by: .seconds(2))
            let end = try await events.next()
            #expect(end == nil)
        }
    }

    @Test func `a watch can be failed`() async throws {
        try await withWatch { _, watch, events in
            watch.fail(StatusError(code: 500, reason: "InternalError", message: "etcd"))
            let event = try await events.next()
            #expect((event?.type, event?.object["message"]) == ("ERROR", "etcd"))
            let end = try await events.next()
            #expect(end == nil)
        }
    }

    @Test func `a frame can be cut`() async throws {
        try await withWatch(accept: Representation.protobufType) { _, watch, events in
            watch.cut(afterBytes: 7)
            await #expect(throws: (any Error).self) { try await events.next() }
            #expect(events.unread.count == 7)
        }
    }

    @Test func `any bytes can be sent`() async throws {
        try await withWatch { _, watch, events in
            watch.send(Array(#"{"type":"WONDER","object":{}}"#.utf8 + [10]))
            let event = try await events.next()
            #expect(event?.type == "WONDER")
        }
    }

    @Test func `streaming lists are refused as by an older server`() async throws {
        try await withClient { server, client in
            server.featureGates.remove(.watchList)
            let response = try await client.send(
                "GET",
                Self.leases,
                query: ["watch": "true", "sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan"]
            )
            #expect(response.status == 422)
            #expect(try response.json["reason"] == "Invalid")
        }
    }

    // MARK: Streaming lists, as client-go's informers request them

    static let streamingList = [
        "sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan", "allowWatchBookmarks": "true",
        "timeoutSeconds": "545",
    ]

    @Test(arguments: [Representation.jsonType, Representation.protobufType])
    func `a bookmark marks the end of a streaming list`(accept: String) async throws {
        func prepare(_ server: SimulatedAPIServer) throws {
            for name in ["a", "b"] { try server.create(Self.lease(name)) }
        }
        try await withWatch(Self.streamingList, accept: accept, prepare: prepare) { server, _, events in
            let last = try server.object(kind: "Lease", namespace: "default", name: "b")
            try server.create(Self.lease("c"))
            let reported = [
                try await events.next(), try await events.next(), try await events.next(), try await events.next(),
            ]
            #expect(reported.map(\.?.type) == ["ADDED", "ADDED", "BOOKMARK", "ADDED"])
            let end = try #require(reported[2]).object
            #expect(end["metadata", "annotations", "k8s.io/initial-events-end"] == "true")
            #expect(end["metadata", "resourceVersion"] == last?["metadata", "resourceVersion"])
            #expect(reported[3]?.object["metadata", "name"] == "c")
        }
    }

    @Test func `an empty streaming list has an end too`() async throws {
        try await withWatch(Self.streamingList) { _, _, events in
            let end = try await events.next()
            #expect(end?.type == "BOOKMARK")
            #expect(end?.object["metadata", "annotations", "k8s.io/initial-events-end"] == "true")
        }
    }

    @Test func `without initial events, a watch begins with the next change`() async throws {
        func prepare(_ server: SimulatedAPIServer) throws {
            try server.create(Self.lease("old"))
        }
        let query = ["sendInitialEvents": "false", "resourceVersionMatch": "NotOlderThan"]
        try await withWatch(query, prepare: prepare) { server, _, events in
            try server.create(Self.lease("new"))
            let event = try await events.next()
            #expect(event?.object["metadata", "name"] == "new")
        }
    }

    @Test func `a streaming list requires resourceVersionMatch`() async throws {
        try await withClient { server, client in
            server.featureGates.insert(.watchList)
            let query = ["watch": "true", "sendInitialEvents": "true"]
            let response = try await client.send("GET", Self.leases, query: query)
            #expect(response.status == 422)
            #expect(try response.json["message"]?.string?.contains("resourceVersionMatch to NotOlderThan") == true)
        }
    }
}
