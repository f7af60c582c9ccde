// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

package import KubernetesAPI
package import Logging

/// An event of a ``Watcher``. The events keep a cache of the objects up to date.
///
/// First, and whenever the server no longer has the changes since the last version: `restarted`, any number of `listed`
/// with the existing objects, `synced`. Objects in the cache that were not listed no longer exist. While a list
/// arrives, there may also be `deleted`. A list that fails is followed by another `restarted`. After `synced` come
/// `applied` and `deleted`.
package enum WatcherEvent<O: ListedObject>: Sendable {
    /// A list begins. The cache stays valid until `synced`.
    case restarted
    /// One or more objects of the list.
    case listed([O])
    /// The list is complete.
    case synced
    /// An object was created or updated. It may be in the cache already.
    case applied(O)
    /// An object was deleted. It may be missing in the cache.
    case deleted(O)
}

/// Lists and watches the objects of a selection, without end: client-go's reflector.
///
/// ```swift
/// for try await event in Watcher<PersistentVolume>(client: client, logger: logger) { index.handle(event) }
/// ```
///
/// **Lists.** The list is streamed, and a watch with the long lifetime continues on the same connection. If the server
/// does not support this, or the stream fails, the list comes in pages. If pages expire twice before the last one, one
/// list comes in one response, decoded while it arrives. Objects are decoded one by one.
///
/// **Recovery.** A watch that ends continues from the last version received; an expired version (410), before a watch
/// or within it, leads to a new list. After other failures, it retries after a delay that doubles from 0.8 to 30
/// seconds, with jitter, and is never shorter than the server's Retry-After. Before a watch continues after a failure,
/// a list of one object shows whether the server was restored to an earlier version meanwhile; if so, it lists again.
/// The server is asked to end each watch after its lifetime. A dead peer is detected within 45 seconds. A connection
/// that stays open but forwards nothing is detected 15 seconds after the watch should have ended, and within 150
/// seconds once the server has sent a bookmark. After a refusal because of the server's load (429, 5xx), the next watch
/// has the long lifetime. No failure ends the sequence: each is passed to the observer, and logged if it differs from
/// the one before, with the missing RBAC rule if that is the reason.
///
/// **End.** The sequence ends only by an error: `CancellationError` when the task is cancelled, ``KubernetesError``
/// with `shutdown` when the client was shut down.
///
/// **RBAC.** `list` and `watch` on the resource, in the namespace or in the cluster.
package struct Watcher<O: ListedObject>: AsyncSequence, Sendable {
    package typealias Element = WatcherEvent<O>

    let client: KubernetesClient
    let selection: Selection
    let lifetime: WatchLifetime
    let logger: Logger
    /// The maximum number of objects in a page of a paged list.
    var pageLimit = 500
    /// The source of jitter, from 0 up to 1.
    var random: @Sendable () -> Double = { .random(in: 0..<1) }
    let observer: @Sendable (KubernetesError) -> Void
    let opened: @Sendable () -> Void
    let received: @Sendable () -> Void

    /// Sends no request before an iterator's first `next`.
    ///
    /// - Parameters:
    ///   - client: its clock measures the delays.
    ///   - selection: all objects by default.
    ///   - lifetime: of each watch.
    ///   - observer: is called for every failure, also repeated ones.
    ///   - opened: is called when a watch is open again after a failure, before its first event. It is not called for a
    ///     streaming list, whose watch is open from `synced` on.
    ///   - received: is called for every event of a watch, also for bookmarks, before it is returned, and when a watch
    ///     is reopened after its end.
    package init(
        client: KubernetesClient,
        selection: Selection = Selection(),
        lifetime: WatchLifetime = .long,
        logger: Logger,
        observer: @escaping @Sendable (KubernetesError) -> Void = { _ in },
        opened: @escaping @Sendable () -> Void = {},
        received: @escaping @Sendable () -> Void = {}
    ) {
        self.client = client
        self.selection = selection
        self.lifetime = lifetime
        self.logger = logger
        self.observer = observer
        self.opened = opened
        self.received = received
    }

    /// Each iterator starts with a list.
    package func makeAsyncIterator() -> AsyncIterator {
        AsyncIterator(watcher: self)
    }
}
