// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthMonitorTestKit
import KubernetesAPI
import Testing

@testable import KubernetesClient

@Suite(.timeLimit(.minutes(30))) struct WatchSilenceTests {
    private static func silence(_ timeout: Duration, isListing: Bool, expectsBookmarks: Bool) -> WatchSilence {
        WatchSilence(
            timeout: timeout,
            listTimeout: .seconds(60),
            isListing: isListing,
            expectsBookmarks: expectsBookmarks
        )
    }

    @Test func `without bookmarks the limit is the watch's timeout plus 30 seconds`() {
        let silence = Self.silence(.seconds(300), isListing: false, expectsBookmarks: false)
        #expect(silence.limit == .seconds(330))
        #expect(!silence.hasSeenBookmark)
    }

    @Test func `after the first bookmark, one of two may be missing`() {
        var silence = Self.silence(.seconds(300), isListing: false, expectsBookmarks: false)
        silence.receivedBookmark(endsInitialEvents: false)
        #expect(silence.limit == .seconds(150))
        #expect(silence.hasSeenBookmark)
        #expect(Self.silence(.seconds(300), isListing: false, expectsBookmarks: true).limit == .seconds(150))
    }

    @Test func `the bookmark that ends the list says nothing about further bookmarks`() {
        var silence = Self.silence(.seconds(600), isListing: true, expectsBookmarks: false)
        #expect(silence.limit == .seconds(60))
        silence.receivedBookmark(endsInitialEvents: true)
        #expect(silence.limit == .seconds(630))
        #expect(!silence.hasSeenBookmark)
        silence.receivedBookmark(endsInitialEvents: false)
        #expect(silence.limit == .seconds(150))
    }

    @Test func `bookmarks never make the limit longer`() {
        var silence = Self.silence(.seconds(77), isListing: false, expectsBookmarks: false)
        silence.receivedBookmark(endsInitialEvents: false)
        #expect(silence.limit == .seconds(107))
    }

    @Test func `a bookmark shortens the limit of the connection`() async throws {
        try await TestCluster.with { cluster in
            let watch = try await cluster.client.watch(PersistentVolume.self, resourceVersion: "1")
            var changes = watch.makeAsyncIterator()
            #expect(changes.idleTimeout == .seconds(330))
            cluster.server.watches[0].sendBookmark()
            guard case .bookmark = try await changes.next() else {
                Issue.record("no bookmark came")
                return
            }
            #expect(changes.idleTimeout == .seconds(150))
            let next = try await cluster.client.watch(
                PersistentVolume.self,
                resourceVersion: "1",
                expectsBookmarks: changes.hasSeenBookmark
            )
            #expect(next.makeAsyncIterator().idleTimeout == .seconds(150))
        }
    }

    @Test func `the end of a streaming list changes the limit of the connection`() async throws {
        try await TestCluster.with(streamsLists: true) { cluster in
            try cluster.server.create(.volume("a"))
            let watch = try await cluster.client.watchList(PersistentVolume.self)
            var changes = watch.makeAsyncIterator()
            // The request timeout of the test's client.
            #expect(changes.idleTimeout == .seconds(3600))
            guard case .added = try await changes.next(),
                case .bookmark(_, endsInitialEvents: true) = try await changes.next()
            else {
                Issue.record("no list came")
                return
            }
            #expect(changes.idleTimeout == .seconds(330))
        }
    }

    @Test func `a watcher expects bookmarks until a watch without any times out`() {
        var machine = WatchStateMachine()
        machine.listed(resourceVersion: "1")
        #expect(!machine.expectsBookmarks)
        _ = machine.ended(.closed(after: .seconds(300)), hasSeenBookmark: true, jitter: 0)
        #expect(machine.expectsBookmarks)
        // Closed before a bookmark was due.
        _ = machine.ended(.closed(after: .seconds(1)), hasSeenBookmark: false, jitter: 0)
        _ = machine.ended(.failed(.transport, retryAfter: nil), hasSeenBookmark: false, jitter: 0)
        #expect(machine.expectsBookmarks)
        _ = machine.ended(.failed(.timeout, retryAfter: nil), hasSeenBookmark: true, jitter: 0)
        #expect(machine.expectsBookmarks)
        _ = machine.ended(.failed(.timeout, retryAfter: nil), hasSeenBookmark: false, jitter: 0)
        #expect(!machine.expectsBookmarks)
    }
}
