// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HTTPTransport
package import KubernetesAPI

/// The changes that an open watch reports. Single pass.
///
/// It ends when the server's time for the watch is over, and throws ``KubernetesError`` when the watch fails: `expired`
/// asks for a new list; after anything else a new watch may go on from the last change's resourceVersion. Dropping it
/// closes the watch.
///
/// An object that cannot be decoded is skipped, its change coming as a bookmark where its version can be read.
package struct WatchChanges<O: ListedObject>: AsyncSequence, Sendable {
    /// A change.
    package typealias Element = WatchChange<O>
    /// What a request throws.
    package typealias Failure = KubernetesError

    fileprivate let client: KubernetesClient
    fileprivate let body: HTTPBody
    fileprivate let info: RequestInfo
    fileprivate let silence: WatchSilence

    /// To be called once.
    package func makeAsyncIterator() -> AsyncIterator {
        AsyncIterator(changes: self)
    }

    /// The only reader of a watch.
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

        /// Whether a bookmark has come beside the one that ends the initial events.
        var hasSeenBookmark: Bool { silence.hasSeenBookmark }
        /// How long the server may be silent now.
        var idleTimeout: Duration? { changes.body.idleTimeout }

        /// The next change; nil when the watch has ended in good order.
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

        /// The next change of those that have arrived; nil: more must arrive first.
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
                    // What is no number says nothing of where the watch stands.
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
    /// Opens a watch: the changes after a version, and bookmarks now and then.
    ///
    /// RBAC: `watch` on the resource, in the namespace or in the cluster.
    ///
    /// - Parameters:
    ///   - resourceVersion: of a list, or of the last change of an earlier watch.
    ///   - timeout: how long the server is to keep the watch open, in whole seconds. A watch whose connection is dead
    ///     fails with `transport` after 30 to 45 seconds, and one that is silent on a live connection with `timeout`:
    ///     after 150 seconds where the server sends bookmarks, 30 seconds after `timeout` otherwise.
    ///   - expectsBookmarks: whether earlier watches of the selection had bookmarks; nothing is known otherwise before the
    ///     first one.
    /// - Throws: ``KubernetesError``; `expired` where the server no longer knows what happened since that version.
    package func watch<O: ListedObject>(
        _: O.Type = O.self,
        _ selection: Selection = Selection(),
        resourceVersion: String,
        timeout: Duration = .seconds(300),
        expectsBookmarks: Bool = false
    ) async throws(KubernetesError) -> WatchChanges<O> {
        let query = [(name: "resourceVersion", value: resourceVersion)]
        let silence = WatchSilence(timeout: timeout, isListing: false, expectsBookmarks: expectsBookmarks)
        return try await watch(selection, query, timeout, silence)
    }

    /// Opens a watch that begins with the objects that there are: a streaming list. They come as `added`, and a bookmark
    /// with `endsInitialEvents` after the last of them; changes may come in between. A server without such lists answers
    /// with an error, or sends one within the watch.
    ///
    /// RBAC: `watch` on the resource, in the namespace or in the cluster.
    ///
    /// Source: [Streaming
    /// lists](https://kubernetes.io/docs/reference/using-api/api-concepts/#streaming-lists), KEP-3157.
    ///
    /// - Parameters:
    ///   - timeout: as of a watch. Before the bookmark, the server may be silent for a minute.
    ///   - expectsBookmarks: as of a watch.
    /// - Throws: ``KubernetesError``; `invalid` where the server has no such lists.
    package func watchList<O: ListedObject>(
        _: O.Type = O.self,
        _ selection: Selection = Selection(),
        timeout: Duration = .seconds(300),
        expectsBookmarks: Bool = false
    ) async throws(KubernetesError) -> WatchChanges<O> {
        let query = [
            (name: "sendInitialEvents", value: "true"), (name: "resourceVersionMatch", value: "NotOlderThan"),
        ]
        let silence = WatchSilence(timeout: timeout, isListing: true, expectsBookmarks: expectsBookmarks)
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
        let body = try await stream(info, Content(query: query), idle: WatchSilence.beforeResponse)
        body.idleTimeout = silence.limit
        return WatchChanges(client: self, body: body, info: info, silence: silence)
    }
}
