// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HTTPTransport
package import KubernetesAPI

/// The changes of an open watch. Supports one iteration.
///
/// It ends when the server ends the watch at its timeout, and throws ``KubernetesError`` when the watch fails. After
/// `expired` the caller must list again; after any other error a new watch can continue from the last change's
/// resourceVersion. Dropping it closes the watch.
///
/// An undecodable object is skipped: its change becomes a bookmark, if its resourceVersion is readable.
package struct WatchChanges<O: ListedObject>: AsyncSequence, Sendable {
    package typealias Element = WatchChange<O>
    package typealias Failure = KubernetesError

    fileprivate let client: KubernetesClient
    fileprivate let body: HTTPBody
    fileprivate let info: RequestInfo
    fileprivate let silence: WatchSilence

    /// Call it once.
    package func makeAsyncIterator() -> AsyncIterator {
        AsyncIterator(changes: self)
    }

    package struct AsyncIterator: AsyncIteratorProtocol {
        private let changes: WatchChanges
        private var body: HTTPBody.Iterator
        private var decoder = WatchFrameDecoder()
        private var silence: WatchSilence
        private var info: RequestInfo { changes.info }

        fileprivate init(changes: WatchChanges) {
            self.changes = changes
            body = changes.body.makeAsyncIterator()
            silence = changes.silence
        }

        /// Whether a bookmark has arrived, other than the one that ends the initial events.
        var hasSeenBookmark: Bool { silence.hasSeenBookmark }
        /// How long the server may be silent now, see ``WatchSilence``.
        var idleTimeout: Duration? { changes.body.idleTimeout }

        /// The next change; nil when the server has ended the watch.
        package mutating func next() async throws(KubernetesError) -> WatchChange<O>? {
            while true {
                if let change = try nextReceived() { return change }
                let bytes: [UInt8]?
                do {
                    bytes = try await body.next()
                } catch {
                    throw KubernetesError(error, request: info)
                }
                if let bytes {
                    decoder.append(bytes)
                } else if decoder.isWithinFrame {
                    throw KubernetesError(code: .transport, message: "\(info): the watch ended within a frame")
                } else {
                    return nil
                }
            }
        }

        /// The next change that has arrived already; nil if more bytes are needed.
        mutating func nextReceived() throws(KubernetesError) -> WatchChange<O>? {
            while true {
                let frame: WatchFrame<O>?
                do throws(WireError) {
                    frame = try decoder.next { bytes throws(WireError) in try WatchFrame(bytes) }
                } catch {
                    throw KubernetesError(error, request: info)
                }
                switch frame {
                case .change(let change):
                    if case .bookmark(_, let endsInitialEvents) = change {
                        silence.receivedBookmark(endsInitialEvents: endsInitialEvents)
                        changes.body.idleTimeout = silence.limit
                    }
                    return change
                case .undecodable(let object):
                    changes.client.skip(object)
                    // A version that is not a number does not say where to continue.
                    guard UInt64(object.resourceVersion) != nil else { continue }
                    return .bookmark(resourceVersion: object.resourceVersion, endsInitialEvents: false)
                case .error(let status): throw KubernetesError(watchStatus: status, request: info)
                case nil: return nil
                }
            }
        }
    }
}

extension KubernetesClient {
    /// Opens a watch of the changes after a version, with bookmarks.
    ///
    /// RBAC: `watch` on the resource, in the namespace or in the cluster.
    ///
    /// - Parameters:
    ///   - resourceVersion: of a list, or of the last change of an earlier watch.
    ///   - timeout: after which the server ends the watch, in whole seconds. A watch on a dead connection fails with
    ///     `transport` after 30 to 45 seconds. A watch that is silent on a live connection fails with `timeout`: after
    ///     `timeout` and `grace`, or after 150 seconds if that is earlier and the server sends bookmarks.
    ///   - grace: how late the end may be.
    ///   - expectsBookmarks: whether earlier watches of the selection received bookmarks. If false, the limit of 150
    ///     seconds applies from the first bookmark on.
    /// - Throws: ``KubernetesError``; `expired` if the server no longer has the changes since that version.
    package func watch<O: ListedObject>(
        _: O.Type = O.self,
        _ selection: Selection = Selection(),
        resourceVersion: String,
        timeout: Duration = .seconds(300),
        grace: Duration = .seconds(15),
        expectsBookmarks: Bool = false
    ) async throws(KubernetesError) -> WatchChanges<O> {
        let query = [(name: "resourceVersion", value: resourceVersion)]
        let silence = WatchSilence(
            timeout: timeout,
            grace: grace,
            listTimeout: requestTimeout,
            isListing: false,
            expectsBookmarks: expectsBookmarks
        )
        return try await watch(selection, query, timeout, silence)
    }

    /// Opens a watch that begins with the existing objects: a streaming list. They arrive as `added`, followed by a
    /// bookmark with `endsInitialEvents`. Changes may arrive between them. A server without streaming lists responds
    /// with an error, or sends one within the watch.
    ///
    /// RBAC: `watch` on the resource, in the namespace or in the cluster.
    ///
    /// Source: [Streaming
    /// lists](https://kubernetes.io/docs/reference/using-api/api-concepts/#streaming-lists), KEP-3157.
    ///
    /// - Parameters:
    ///   - timeout: as of a watch: it ends an incomplete list too. Until the bookmark, the server may be silent for a
    ///     minute.
    ///   - expectsBookmarks: as of a watch.
    /// - Throws: ``KubernetesError``; `invalid` if the server does not support streaming lists.
    package func watchList<O: ListedObject>(
        _: O.Type = O.self,
        _ selection: Selection = Selection(),
        timeout: Duration = .seconds(300),
        expectsBookmarks: Bool = false
    ) async throws(KubernetesError) -> WatchChanges<O> {
        let query = [
            (name: "sendInitialEvents", value: "true"), (name: "resourceVersionMatch", value: "NotOlderThan"),
        ]
        let silence = WatchSilence(
            timeout: timeout,
            grace: .seconds(15),
            listTimeout: requestTimeout,
            isListing: true,
            expectsBookmarks: expectsBookmarks
        )
        return try await watch(selection, query, timeout, silence)
    }

    private func watch<O: ListedObject>(
        _ selection: Selection,
        _ query: [(name: String, value: String)],
        _ timeout: Duration,
        _ silence: WatchSilence
    ) async throws(KubernetesError) -> WatchChanges<O> {
        let info = RequestInfo(verb: .watch, resource: O.resource, namespace: selection.namespace)
        let query =
            selection.query + query + [
                (name: "watch", value: "true"),
                (name: "allowWatchBookmarks", value: "true"),
                (name: "timeoutSeconds", value: String(timeout.components.seconds)),
            ]
        let body = try await stream(info, Content(query: query), idle: min(requestTimeout, silence.limit))
        body.idleTimeout = silence.limit
        return WatchChanges(client: self, body: body, info: info, silence: silence)
    }
}
