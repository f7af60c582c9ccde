// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// How long the server of a watch may be silent before the watch has failed.
///
/// A peer that is gone is noticed by TCP, after 30 to 45 seconds. This limit is for what TCP cannot see: a proxy or a
/// load balancer that keeps the connection and forwards nothing. Such a watch fails
/// - after a minute while its response or the end of its initial events is outstanding,
/// - after two and a half minutes where the server sends bookmarks,
/// - 30 seconds after the server should have ended it otherwise.
///
/// kube-apiserver sends a bookmark every minute, give or take 2 seconds, to each watch that its watch cache serves, but
/// not to those that go to etcd (events by default): `defaultBookmarkFrequency` and `dispatchEvents` in
/// k8s.io/apiserver/pkg/storage/cacher/cacher.go, `nextBookmarkTime` in cache_watcher.go. One may be lost, as
/// `nonblockingAdd` there drops it for a watcher whose channel is full. The bookmark that ends the initial events comes
/// from etcd's watches too and promises no further ones.
struct WatchSilence: Sendable, Hashable {
    private static let bookmarkInterval = Duration.seconds(60)
    /// Until the response: kube-apiserver sends its head before the first change (`HandleHTTP` in
    /// k8s.io/apiserver/pkg/endpoints/handlers/watch.go).
    static let beforeResponse = Duration.seconds(60)

    private let timeout: Duration
    private let expectsBookmarks: Bool
    private var isListing: Bool
    /// Whether a bookmark has come beside the one that ends the initial events.
    private(set) var hasSeenBookmark = false

    /// - Parameters:
    ///   - timeout: when the server should end the watch.
    ///   - isListing: whether it begins with the objects that there are.
    ///   - expectsBookmarks: whether an earlier watch of the same objects had bookmarks.
    init(timeout: Duration, isListing: Bool, expectsBookmarks: Bool) {
        self.timeout = timeout
        self.isListing = isListing
        self.expectsBookmarks = expectsBookmarks
    }

    mutating func receivedBookmark(endsInitialEvents: Bool) {
        if endsInitialEvents { isListing = false } else { hasSeenBookmark = true }
    }

    /// Counted from the last byte that was received.
    var limit: Duration {
        if isListing { return .seconds(60) }
        let end = timeout + .seconds(30)
        return expectsBookmarks || hasSeenBookmark ? min(end, Self.bookmarkInterval * 2 + .seconds(30)) : end
    }
}
