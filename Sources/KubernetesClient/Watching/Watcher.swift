// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

package import KubernetesAPI
package import Logging

/// What a watcher reports, in an order from which a copy of the objects can be kept.
///
/// First, and whenever the server no longer knows what has happened since: `restarted`, the objects that there are now in
/// any number of `listed`, `synced`. What was known before and is not listed is gone; while a list arrives, there may
/// also be `deleted`. A list that fails half-way is followed by another `restarted`. After `synced` come `applied` and
/// `deleted`.
package enum WatcherEvent<O: ListedObject>: Sendable {
    /// A list begins to arrive. What is known stays true until `synced`.
    case restarted
    /// Some objects of the list, at least one.
    case listed([O])
    /// The list is complete.
    case synced
    /// An object was made or changed. It may be known already.
    case applied(O)
    /// An object was deleted. It may be unknown.
    case deleted(O)
}

/// The objects of a selection, and every change of them, for as long as somebody asks.
///
/// ```swift
/// for try await event in Watcher<PersistentVolume>(client: client, logger: logger) { index.handle(event) }
/// ```
///
/// **Lists.** The list is streamed, with the watch behind it on the same connection; from a server that does not do that,
/// and once a stream has failed, it comes in pages. Where the pages expire twice before the last one, one list comes in one
/// response, read while it arrives. Objects are decoded one by one.
///
/// **Recovery.** A watch that ends goes on from the last version seen; a version that the server has forgotten (410),
/// before a watch or within it, leads to a new list. Other failures are repeated after a delay that doubles from 0.8 to
/// 30 seconds, with jitter, and is never shorter than the server's Retry-After. Before the watch goes on after a failure,
/// a list of one object shows whether the server was put back to an earlier version meanwhile; then it lists anew. A watch is open for 5 to 10 minutes. A
/// peer that is gone is noticed within 45 seconds, a connection that is kept but forwards nothing within 150 seconds once
/// the server has sent a bookmark, and half a minute after the watch should have ended before that. None of this ends the sequence: each failure goes to the
/// observer and, when it is another one than before, to the log, with the missing RBAC rule where that is the reason.
///
/// **End.** There is none but an error: `CancellationError` when the task is cancelled, ``KubernetesError`` with
/// `shutdown` when the client was shut down.
///
/// **RBAC.** `list` and `watch` on the resource, in the namespace or in the cluster.
package struct Watcher<O: ListedObject>: AsyncSequence, Sendable {
    /// What is reported.
    package typealias Element = WatcherEvent<O>

    let client: KubernetesClient
    let selection: Selection
    let pageLimit: Int
    let logger: Logger
    let random: @Sendable () -> Double
    let observer: @Sendable (KubernetesError) -> Void
    let opened: @Sendable () -> Void
    let received: @Sendable () -> Void

    /// Describes a watcher; nothing is sent before an iterator's first `next`.
    ///
    /// - Parameters:
    ///   - client: whom to ask. Its clock measures the delays.
    ///   - selection: what to watch; by default, all there is.
    ///   - pageLimit: the most objects of a page of a list in pages.
    ///   - logger: for troubles, once each, and their end.
    ///   - random: from 0 up to 1, for jitter.
    ///   - observer: called for every failure, repeated ones too.
    ///   - opened: called when a watch is open that goes on from a version, before its first event. A streaming list is
    ///     open from `synced` on without it.
    ///   - received: called for every event of a watch, bookmarks too, before it is handed on.
    package init(
        client: KubernetesClient,
        selection: Selection = Selection(),
        pageLimit: Int = 500,
        logger: Logger,
        random: @escaping @Sendable () -> Double = { .random(in: 0..<1) },
        observer: @escaping @Sendable (KubernetesError) -> Void = { _ in },
        opened: @escaping @Sendable () -> Void = {},
        received: @escaping @Sendable () -> Void = {}
    ) {
        self.client = client
        self.selection = selection
        self.pageLimit = pageLimit
        self.logger = logger
        self.random = random
        self.observer = observer
        self.opened = opened
        self.received = received
    }

    /// Starts a watch of its own, with a list.
    package func makeAsyncIterator() -> AsyncIterator {
        AsyncIterator(watcher: self)
    }
}
