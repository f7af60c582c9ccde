// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthMonitorTestKit
import KubernetesAPI
import SwiftProtobuf
import Testing

@testable import KubernetesClient

/// A watcher of a server without streaming lists; see also ``WatchListTests``.
@Suite(.timeLimit(.minutes(50))) struct WatcherTests {
    private static let expired = StatusError(code: 410, reason: "Expired", message: "too old resource version")

    private func watcher(
        _ cluster: TestCluster,
        pageLimit: Int = 500,
        lifetime: WatchLifetime = .long,
        random: Double = 0,
        errors: Collected<KubernetesError> = Collected(),
        opened: @escaping @Sendable () -> Void = {},
        received: @escaping @Sendable () -> Void = {}
    ) -> Watcher<PersistentVolume> {
        var watcher = Watcher<PersistentVolume>(
            client: cluster.client,
            lifetime: lifetime,
            logger: cluster.logger,
            observer: { errors.append($0) },
            opened: opened,
            received: received
        )
        watcher.pageLimit = pageLimit
        watcher.random = { random }
        return watcher
    }

    /// A watcher whose watch is open and has delivered the volume "first".
    private func withOpenWatch(
        _ body: (TestCluster, inout Watcher<PersistentVolume>.AsyncIterator) async throws -> Void
    ) async throws {
        try await TestCluster.with { cluster in
            var events = watcher(cluster).makeAsyncIterator()
            try await expect(&events, "restarted", "synced")
            try cluster.server.create(.volume("first"))
            try await expect(&events, "applied first")
            try await body(cluster, &events)
        }
    }

    private func queries(_ cluster: TestCluster, _ verb: APIRequest.Verb) -> [[String: String]] {
        cluster.server.journal.records.map(\.request).filter { $0.verb == verb && !$0.isStreamingList }
            .map(\.query)
    }

    /// Creates a volume after the current watch has ended, and before the next one begins.
    private func createBeforeTheNextWatch(_ cluster: TestCluster, _ name: String) {
        let server = cluster.server
        server.intercept { request in
            if request.verb == .watch { _ = try? server.create(.volume(name)) }
            return nil
        }
    }

    private func version(_ cluster: TestCluster, of name: String) throws -> String? {
        try cluster.server.object(kind: "PersistentVolume", name: name)?["metadata", "resourceVersion"]?.string
    }

    /// A watcher of 120 volumes in pages of 110, whose continue tokens always expire.
    private func withExpiringTokens(
        response wholeList: Interception? = nil,
        _ body: (TestCluster, inout Watcher<PersistentVolume>.AsyncIterator) async throws -> Void
    ) async throws {
        try await TestCluster.with { cluster in
            for number in 0..<120 { try cluster.server.create(.volume("pv-\(number)")) }
            cluster.server.intercept { request in
                if request.query["continue"] != nil { return .fail(Self.expired) }
                return request.verb == .list && request.query["limit"] == nil ? wholeList : nil
            }
            var events = watcher(cluster, pageLimit: 110).makeAsyncIterator()
            try await body(cluster, &events)
        }
    }

    @Test func `a list whose continue tokens expire twice comes without pages`() async throws {
        try await withExpiringTokens { cluster, events in
            var names: Set<String> = []
            var restarts = 0
            listing: while let event = try await events.next() {
                switch event {
                case .restarted:
                    restarts += 1
                    names = []
                case .listed(let volumes):
                    #expect(volumes.count <= 100)
                    names.formUnion(volumes.map(\.metadata.name))
                case .synced: break listing
                case .applied, .deleted: Issue.record("a change within the list")
                }
            }
            #expect(restarts == 3)
            #expect(names.count == 120)
            let lists = queries(cluster, .list)
            #expect(lists.map { $0["limit"] ?? "none" } == ["110", "110", "110", "110", "none"])
            #expect(lists.map { $0["continue"] != nil } == [false, true, false, true, false])
            #expect(cluster.clock.sleeps == [.milliseconds(800), .milliseconds(1600)])
            // The watch continues as after any list.
            try cluster.server.create(.volume("later"))
            try await expect(&events, "applied later")
            let line = "debug Continue tokens expired before the list was complete, listing without a limit"
            #expect(cluster.log.filter { $0.hasPrefix(line) }.count == 1)
        }
    }

    @Test func `a truncated list without pages is not complete`() async throws {
        // An envelope with a list of 100 bytes, of which only the resourceVersion, 77, arrives.
        let kind = Array("PersistentVolumeList".utf8)
        let type = [0x0A, 2] + Array("v1".utf8) + [0x12, UInt8(kind.count)] + kind
        let list = Array("k8s\0".utf8) + [0x0A, UInt8(type.count)] + type + [0x12, 100, 0x0A, 4, 0x12, 2, 0x37, 0x37]
        try await withExpiringTokens(response: .respond(status: 200, body: list)) { cluster, events in
            var synced = false
            var restarts = 0
            while cluster.requests.filter({ $0.hasPrefix("list") }).count < 7, let event = try await events.next() {
                if case .synced = event { synced = true }
                if case .restarted = event { restarts += 1 }
            }
            #expect(!synced)
            #expect(restarts == 5)
            let limits = queries(cluster, .list).map { $0["limit"] ?? "none" }
            #expect(limits == ["110", "110", "110", "110", "none", "110", "110", "110"])
        }
    }

    @Test func `a list is followed by changes`() async throws {
        try await TestCluster.with { cluster in
            for name in ["a", "b", "c"] { try cluster.server.create(.volume(name)) }
            var events = watcher(cluster, pageLimit: 2).makeAsyncIterator()
            try await expect(&events, "restarted", "listed a b", "listed c", "synced")
            try cluster.server.create(.volume("d"))
            try cluster.server.patch(kind: "PersistentVolume", name: "a", ["status": ["phase": "Bound"]])
            try cluster.server.delete(kind: "PersistentVolume", name: "b")
            try await expect(&events, "applied d", "applied a", "deleted b")
            #expect(queries(cluster, .list).count == 2)
            #expect(queries(cluster, .watch).count == 1)
        }
    }

    @Test(arguments: [
        (WatchLifetime.long, 0.0, "300"), (.long, 0.999, "599"), (.short, 0, "25"), (.short, 0.999, "30"),
    ])
    func `watches are open for five to ten minutes, or for 25 to 30 seconds`(
        _ lifetime: WatchLifetime,
        _ random: Double,
        seconds: String
    ) async throws {
        try await TestCluster.with { cluster in
            var events = watcher(cluster, lifetime: lifetime, random: random).makeAsyncIterator()
            for _ in 0..<2 { _ = try await events.next() }
            try cluster.server.create(.volume("a"))
            _ = try await events.next()
            #expect(queries(cluster, .watch).map { $0["timeoutSeconds"] } == [seconds])
            #expect(queries(cluster, .watch).map { $0["allowWatchBookmarks"] } == ["true"])
        }
    }

    @Test func `a watch that ends continues from the last change`() async throws {
        try await withOpenWatch { cluster, events in
            createBeforeTheNextWatch(cluster, "second")
            cluster.server.watches[0].end()
            try await expect(&events, "applied second")
            #expect(queries(cluster, .list).count == 1)
            #expect(try queries(cluster, .watch).last?["resourceVersion"] == version(cluster, of: "first"))
            #expect(cluster.clock.sleeps.isEmpty)
        }
    }

    @Test func `a watch that ends continues from the last bookmark`() async throws {
        try await withOpenWatch { cluster, events in
            let other = try cluster.server.create(["kind": "Lease", "metadata": ["name": "other"]])
            createBeforeTheNextWatch(cluster, "second")
            cluster.server.watches[0].sendBookmark()
            cluster.server.watches[0].end()
            try await expect(&events, "applied second")
            let version = other["metadata", "resourceVersion"]?.string
            #expect(queries(cluster, .watch).last?["resourceVersion"] == version)
        }
    }

    /// An overloaded server would refuse a watch that is reopened often, and leave the cache outdated meanwhile.
    @Test(arguments: [429, 503])
    func `after a refusal because of the server's load, the next watch is open for minutes`(_ status: Int) async throws
    {
        try await TestCluster.with { cluster in
            let refused = Collected<Bool>()
            cluster.server.intercept { request in
                guard request.verb == .watch, !request.isStreamingList, refused.values.isEmpty else { return nil }
                refused.append(true)
                return .fail(StatusError(code: status, reason: "Busy", message: "busy"))
            }
            var events = watcher(cluster, lifetime: .short).makeAsyncIterator()
            try await expect(&events, "restarted", "synced")
            try cluster.server.create(.volume("first"))
            try await expect(&events, "applied first")
            createBeforeTheNextWatch(cluster, "second")
            cluster.server.watches[0].end()
            try await expect(&events, "applied second")
            #expect(queries(cluster, .watch).map { $0["timeoutSeconds"] } == ["25", "300", "25"])
        }
    }

    /// ``WatchFrameTests`` splits at every byte, without a connection.
    @Test func `a watch that is truncated at any byte loses no change`() async throws {
        try await withOpenWatch { cluster, events in
            for bytes in [0, 1, 3, 4, 7, 30, 60] {
                createBeforeTheNextWatch(cluster, "volume-\(bytes)")
                // The watch that was cut before may still be listed.
                try #require(cluster.server.watches.last).cut(afterBytes: bytes)
                try await expect(&events, "applied volume-\(bytes)")
            }
            // The version is checked each time, and there is no list but the first.
            #expect(queries(cluster, .list).filter { $0["limit"] != "1" }.count == 1)
        }
    }

    /// The changes since the backup have never happened; a watch from the last version would be silent.
    @Test func `a server that was restored to an earlier version is listed again`() async throws {
        try await withOpenWatch { cluster, events in
            let backup = cluster.server.backup()
            try cluster.server.create(.volume("lost"))
            try await expect(&events, "applied lost")
            cluster.server.restore(backup)
            try await expect(&events, "restarted", "listed first", "synced")
            try cluster.server.create(.volume("second"))
            try await expect(&events, "applied second")
        }
    }

    @Test func `a version that expires within a watch leads to a list`() async throws {
        try await withOpenWatch { cluster, events in
            cluster.server.watches[0].fail(Self.expired)
            try await expect(&events, "restarted", "listed first", "synced")
        }
    }

    @Test func `a version that expires between watches leads to a list`() async throws {
        try await withOpenWatch { cluster, events in
            let intercepted = Collected<Bool>()
            cluster.server.intercept { request in
                guard request.verb == .watch, !request.isStreamingList, intercepted.values.isEmpty else { return nil }
                intercepted.append(true)
                return .fail(Self.expired)
            }
            cluster.server.watches[0].end()
            try await expect(&events, "restarted", "listed first", "synced")
            #expect(!cluster.log.contains { $0.hasPrefix("warning") })
        }
    }

    @Test func `a version that goes backwards leads to a list`() async throws {
        try await withOpenWatch { cluster, events in
            var old = PersistentVolume()
            old.metadata.name = "old"
            old.metadata.resourceVersion = "1"
            cluster.server.watches[0].send(try frame("MODIFIED", old))
            try await expect(&events, "restarted", "listed first", "synced")
            #expect(cluster.log.count { $0.hasPrefix("warning Server's resourceVersion went backwards") } == 1)
        }
    }

    @Test func `a list that fails halfway begins again`() async throws {
        try await TestCluster.with { cluster in
            for name in ["a", "b"] { try cluster.server.create(.volume(name)) }
            let faults = Collected<Bool>()
            cluster.server.intercept { request in
                guard request.query["continue"] != nil, faults.values.isEmpty else { return nil }
                faults.append(true)
                return .fail(StatusError(code: 500, reason: "InternalError", message: "etcd"))
            }
            var events = watcher(cluster, pageLimit: 1).makeAsyncIterator()
            try await expect(&events, "restarted", "listed a", "restarted", "listed a", "listed b", "synced")
        }
    }

    @Test func `a failure is logged once, and retried with back-off`() async throws {
        try await TestCluster.with { cluster in
            let errors = Collected<KubernetesError>()
            cluster.server.intercept { _ in
                guard errors.values.count < 4 else { return nil }
                return .fail(StatusError(code: 403, reason: "Forbidden", message: "no"))
            }
            var events = watcher(cluster, errors: errors).makeAsyncIterator()
            try await expect(&events, "restarted", "synced")
            try cluster.server.create(.volume("a"))
            try await expect(&events, "applied a")
            // With the last one, the server rejects the streaming list.
            #expect(errors.values.map(\.code) == [.forbidden, .forbidden, .forbidden, .forbidden, .invalid])
            #expect(cluster.clock.sleeps == [800, 1600, 3200, 6400].map { .milliseconds($0) })
            let warnings = cluster.log.filter { $0.hasPrefix("warning") }
            #expect(warnings.count == 1)
            #expect(warnings.first?.contains(#"resources: ["persistentvolumes"], verbs: ["watch"]"#) == true)
            #expect(cluster.log.count { $0.hasPrefix("notice Watch recovered") } == 1)
        }
    }

    @Test func `a watch that continues after a failure is reported open before its first event`() async throws {
        try await TestCluster.with { cluster in
            let openings = Collected<Bool>()
            let errors = Collected<KubernetesError>()
            let watcher = watcher(cluster, errors: errors, opened: { openings.append(true) })
            var events = watcher.makeAsyncIterator()
            for _ in 0..<2 { _ = try await events.next() }
            try cluster.server.create(.volume("a"))
            try await expect(&events, "applied a")
            let before = (failures: errors.values.count, opened: openings.values.count)
            await cluster.server.cutConnections()
            try cluster.server.create(.volume("b"))
            try await expect(&events, "applied b")
            #expect(errors.values.count > before.failures)
            #expect(openings.values.count > before.opened)
        }
    }

    @Test func `a watch that continues after its end is not reported open, but as received`() async throws {
        try await TestCluster.with { cluster in
            let steps = Collected<String>()
            let watcher = watcher(
                cluster,
                opened: { steps.append("opened") },
                received: { steps.append("received") }
            )
            var events = watcher.makeAsyncIterator()
            for _ in 0..<2 { _ = try await events.next() }
            try cluster.server.create(.volume("a"))
            try await expect(&events, "applied a")
            let before = steps.values.count
            createBeforeTheNextWatch(cluster, "b")
            cluster.server.watches[0].end()
            try await expect(&events, "applied b")
            #expect(steps.values.dropFirst(before) == ["received", "received"])
        }
    }

    @Test func `Retry-After is respected`() async throws {
        try await TestCluster.with { cluster in
            let faults = Collected<Bool>()
            cluster.server.intercept { request in
                guard request.verb == .watch, !request.isStreamingList, faults.values.isEmpty else { return nil }
                faults.append(true)
                return .fail(
                    StatusError(code: 429, reason: "TooManyRequests", message: "busy"),
                    headers: ["Retry-After": "9"]
                )
            }
            var events = watcher(cluster).makeAsyncIterator()
            for _ in 0..<2 { _ = try await events.next() }
            try cluster.server.create(.volume("a"))
            try await expect(&events, "applied a")
            #expect(cluster.clock.sleeps == [.seconds(9)])
            #expect(queries(cluster, .list).count == 1)
        }
    }

    @Test func `watches that the server closes at once are delayed`() async throws {
        try await TestCluster.with { cluster in
            let faults = Collected<Bool>()
            cluster.server.intercept { request in
                guard request.verb == .watch, !request.isStreamingList, faults.values.count < 3 else { return nil }
                faults.append(true)
                return .respond(status: 200, body: [])
            }
            var events = watcher(cluster).makeAsyncIterator()
            for _ in 0..<2 { _ = try await events.next() }
            try cluster.server.create(.volume("a"))
            try await expect(&events, "applied a")
            #expect(cluster.clock.sleeps == [.milliseconds(800), .milliseconds(1600), .milliseconds(3200)])
        }
    }

    @Test func `cancellation ends a watcher`() async throws {
        try await TestCluster.with { cluster in
            let watcher = watcher(cluster)
            await withTaskGroup(of: (any Error)?.self) { group in
                group.addTask {
                    do {
                        for try await _ in watcher {}
                        return nil
                    } catch {
                        return error
                    }
                }
                for await record in cluster.server.journal where record.request.verb == .watch { break }
                group.cancelAll()
                let end = await group.next()
                #expect(end.flatMap { $0 } is CancellationError)
            }
        }
    }

    @Test func `shutdown ends a watcher`() async throws {
        try await withOpenWatch { cluster, events in
            await cluster.client.shutdown()
            do {
                _ = try await events.next()
                Issue.record("an event came")
            } catch {
                #expect((error as? KubernetesError)?.code == .shutdown)
            }
        }
    }
}

extension APIRequest {
    var isStreamingList: Bool { query["sendInitialEvents"] != nil }
}

extension WatcherEvent<PersistentVolume> {
    var text: String {
        switch self {
        case .restarted: "restarted"
        case .listed(let volumes): "listed \(volumes.map(\.metadata.name).joined(separator: " "))"
        case .synced: "synced"
        case .applied(let volume): "applied \(volume.metadata.name)"
        case .deleted(let volume): "deleted \(volume.metadata.name)"
        }
    }
}

/// The next events are these.
func expect(
    _ events: inout Watcher<PersistentVolume>.AsyncIterator,
    _ expected: String...,
    sourceLocation: SourceLocation = #_sourceLocation
) async throws {
    for expected in expected {
        let event = try await events.next()
        #expect(event?.text == expected, sourceLocation: sourceLocation)
    }
}

/// A frame of a watch.
func frame(_ type: String, _ object: some Message, kind: String) throws -> [UInt8] {
    var envelope = Unknown()
    envelope.typeMeta.kind = kind
    envelope.typeMeta.apiVersion = "v1"
    envelope.raw = try object.serializedBytes()
    var event = WatchEvent()
    event.type = type
    event.object.raw = try [0x6B, 0x38, 0x73, 0] + envelope.serializedBytes()
    let body: [UInt8] = try event.serializedBytes()
    return (0..<4).map { UInt8(truncatingIfNeeded: body.count >> (24 - 8 * $0)) } + body
}

func frame(_ type: String, _ volume: PersistentVolume) throws -> [UInt8] {
    try frame(type, volume, kind: "PersistentVolume")
}
