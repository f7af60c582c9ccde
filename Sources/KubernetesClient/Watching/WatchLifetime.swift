// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// How long the server is asked to keep a watch open.
///
/// A proxy that keeps a connection and forwards nothing is noticed only by the server's silence, and between two events
/// a live watch is as silent as a dead one. What a server always sends in time is the end of the watch, so that a dead
/// connection is noticed soon after the watch should have ended. client-go sends HTTP/2 PINGs instead (30 s + 15 s:
/// `readIdleTimeoutSeconds` and `pingTimeoutSeconds` in k8s.io/apimachinery, pkg/util/net/http.go); HTTP/1.1 has none.
package struct WatchLifetime: Sendable, Hashable {
    /// 5 to 10 minutes, as in client-go. For clients of which there may be one on each node: with the other lifetime,
    /// 5,000 of them would send some 180 requests per second.
    package static let long = WatchLifetime(seconds: 300..<600)
    /// 25 to 30 seconds: a watch that forwards nothing fails within 45. It costs a request in that time, which is cheap
    /// for kube-apiserver: it comes on the same connection, takes one seat of priority and fairness until it has begun
    /// (`listWorkEstimator` in k8s.io/apiserver, pkg/util/flowcontrol/request), and continues from the bookmark that
    /// was sent 2 seconds before the end (`nextBookmarkTime` in pkg/storage/cacher/cache_watcher.go).
    package static let short = WatchLifetime(seconds: 25..<31)

    let seconds: Range<Int>
    /// How late the end may be.
    var grace = Duration.seconds(15)

    /// - Parameter random: from 0 up to 1.
    func timeout(random: Double) -> Duration {
        .seconds(seconds.lowerBound + Int(random * Double(seconds.count)))
    }
}
