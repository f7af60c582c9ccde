// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthMonitorTestKit
import KubernetesAPI
import Testing

@testable import KubernetesClient

@Suite(.timeLimit(.minutes(50))) struct WatchSilenceTests {
    private static func silence(_ timeout: Duration, isListing: Bool, expectsBookmarks: Bool) -> WatchSilence {
        WatchSilence(
            timeout: timeout,
            grace: .seconds(15),
            listTimeout: .seconds(60),
            isListing: isListing,
            expectsBookmarks: expectsBookmarks
        )
    }

    @Test func `without bookmarks the limit is the watch's timeout plus 15 seconds`() {
        let silence = Self.silence(.seconds(300), isListing: false, expectsBookmarks: false)
        #expect(silence.limit == .seconds(315))
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
        #expect(silence.limit == .seconds(615))
        #expect(!silence.hasSeenBookmark)
        silence.receivedBookmark(endsInitialEvents: false)
        #expect(silence.limit == .seconds(150))
    }

    @Test func `bookmarks never make the limit longer`() {
        var silence = Self.silence(.seconds(77), isListing: false, expectsBookmarks: false)
        silence.receivedBookmark(endsInitialEvents: false)
        #expect(silence.limit == .seconds(92))
    }

    @Test(arguments: [0, 0.2, 0.4, 0.6, 0.8, 0.999], [false, true])
    func `a watch with a short lifetime is silent for at most 45 seconds`(random: Double, sendsBookmarks: Bool) {
        let lifetime = WatchLifetime.short
        let silence = WatchSilence(
            timeout: lifetime.timeout(random: random),
            grace: lifetime.grace,
            listTimeout: .seconds(60),
            isListing: false,
            expectsBookmarks: sendsBookmarks
        )
        #expect(silence.limit >= .seconds(40))
        #expect(silence.limit <= .seconds(45))
    }

    @Test func `a bookmark shortens the limit of the connection`() async throws {
        try await TestCluster.with { cluster in
            let watch = try await cluster.client.watch(PersistentVolume.self, resourceVersion: "1")
            var changes = watch.makeAsyncIterator()
            #expect(changes.idleTimeout == .seconds(315))
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
            #expect(changes.idleTimeout == .seconds(315))
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
