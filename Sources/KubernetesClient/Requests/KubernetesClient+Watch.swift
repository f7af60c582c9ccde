// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HTTPTransport
public import KubernetesAPI

/// The changes that an open watch tells. Single pass.
///
/// It ends when the server's time for the watch is over, and throws ``KubernetesError`` when the watch fails: `expired`
/// asks for a new list; after anything else a new watch may go on from the last change's resourceVersion. Dropping it
/// closes the watch.
public struct WatchChanges<O: KubernetesObject>: AsyncSequence, Sendable {
    /// A change.
    public typealias Element = WatchChange<O>
    /// What a request throws.
    public typealias Failure = KubernetesError

    fileprivate let body: HTTPBody
    fileprivate let info: RequestInfo

    /// To be called once.
    public func makeAsyncIterator() -> AsyncIterator {
        AsyncIterator(body: body.makeAsyncIterator(), info: info)
    }

    /// The only reader of a watch.
    public struct AsyncIterator: AsyncIteratorProtocol {
        private var body: HTTPBody.Iterator
        private let info: RequestInfo
        private var decoder = WatchFrameDecoder()

        fileprivate init(body: HTTPBody.Iterator, info: RequestInfo) {
            self.body = body
            self.info = info
        }

        /// The next change; nil when the watch has ended in good order.
        public mutating func next() async throws(KubernetesError) -> WatchChange<O>? {
            while true {
                if let change = try decoded() { return change }
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

        private mutating func decoded() throws(KubernetesError) -> WatchChange<O>? {
            let frame: WatchFrame<O>?
            do throws(WireError) {
                frame = try decoder.next().map { bytes throws(WireError) in try WatchFrame(bytes) }
            } catch {
                throw KubernetesError(error, request: info)
            }
            switch frame {
            case .change(let change): return change
            case .error(let status): throw KubernetesError(watchStatus: status, request: info)
            case nil: return nil
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
    ///   - timeout: how long the server is to keep the watch open, in whole seconds. A watch that is silent for 30
    ///     seconds longer than that fails with `timeout`: its connection is dead.
    /// - Throws: ``KubernetesError``; `expired` where the server no longer knows what happened since that version.
    public func watch<O: KubernetesObject>(
        _: O.Type = O.self,
        _ selection: Selection = Selection(),
        resourceVersion: String,
        timeout: Duration = .seconds(300)
    ) async throws(KubernetesError) -> WatchChanges<O> {
        let info = RequestInfo(verb: .watch, resource: O.resource, namespace: selection.namespace)
        let query =
            selection.query + [
                (name: "watch", value: "true"),
                (name: "resourceVersion", value: resourceVersion),
                (name: "allowWatchBookmarks", value: "true"),
                (name: "timeoutSeconds", value: String(timeout.components.seconds)),
            ]
        let body = try await stream(info, Content(query: query), idle: timeout + .seconds(30))
        return WatchChanges(body: body, info: info)
    }
}
