// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// How long the server of a watch may be silent before the watch fails.
///
/// TCP detects a dead peer within 30 to 45 seconds. This limit is for what TCP cannot detect: a proxy or a load
/// balancer that keeps the connection and forwards nothing. Such a watch fails
/// - after the client's request timeout, a minute, while the end of its initial events is outstanding;
/// - otherwise 15 seconds after the server should have ended it, see ``WatchLifetime``;
/// - after two and a half minutes, if the server sends bookmarks.
///
/// The same limit, but at most the request timeout, holds for the headers of its response, which kube-apiserver sends
/// before the first change (`HandleHTTP` in k8s.io/apiserver/pkg/endpoints/handlers/watch.go).
///
/// kube-apiserver sends a bookmark every minute, with 2 seconds of jitter, to each watch that its watch cache serves,
/// but not to those served by etcd (events by default): `defaultBookmarkFrequency` and `dispatchEvents` in
/// k8s.io/apiserver/pkg/storage/cacher/cacher.go, `nextBookmarkTime` in cache_watcher.go. One may be lost, because
/// `nonblockingAdd` there drops it for a watcher whose channel is full. The bookmark that ends the initial events also
/// comes from etcd's watches, and says nothing about further bookmarks.
struct WatchSilence: Sendable, Hashable {
    private static let bookmarkInterval = Duration.seconds(60)

    /// The latest end of the watch, counted from its beginning.
    private let end: Duration
    private let listTimeout: Duration
    private let expectsBookmarks: Bool
    private var isListing: Bool
    /// Whether a bookmark has arrived, other than the one that ends the initial events.
    private(set) var hasSeenBookmark = false

    /// - Parameters:
    ///   - timeout: after which the server should end the watch.
    ///   - grace: how late the end may be.
    ///   - listTimeout: the limit until the end of the initial events.
    ///   - isListing: whether it begins with initial events.
    ///   - expectsBookmarks: whether an earlier watch of the same objects received bookmarks.
    init(timeout: Duration, grace: Duration, listTimeout: Duration, isListing: Bool, expectsBookmarks: Bool) {
        end = timeout + grace
        self.listTimeout = listTimeout
        self.isListing = isListing
        self.expectsBookmarks = expectsBookmarks
    }

    mutating func receivedBookmark(endsInitialEvents: Bool) {
        if endsInitialEvents { isListing = false } else { hasSeenBookmark = true }
    }

    /// Counted from the last received byte.
    var limit: Duration {
        if isListing { return listTimeout }
        return expectsBookmarks || hasSeenBookmark ? min(end, Self.bookmarkInterval * 2 + .seconds(30)) : end
    }
}
