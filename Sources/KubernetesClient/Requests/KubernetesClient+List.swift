// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HTTPTransport
package import KubernetesAPI
import ProtobufWire
import SwiftProtobuf

/// Which objects of a resource are meant.
package struct Selection: Sendable, Hashable {
    /// nil: of all namespaces, or the resource has none.
    package var namespace: String?
    /// `app=web,tier!=cache`; nil: all.
    package var labelSelector: String?
    /// `involvedObject.uid=1234,type=Warning`; nil: all.
    package var fieldSelector: String?

    /// All objects, or those of one namespace, or some of them.
    package init(namespace: String? = nil, labelSelector: String? = nil, fieldSelector: String? = nil) {
        self.namespace = namespace
        self.labelSelector = labelSelector
        self.fieldSelector = fieldSelector
    }

    var query: [(name: String, value: String)] {
        [("labelSelector", labelSelector), ("fieldSelector", fieldSelector)].compactMap { name, value in
            value.map { (name: name, value: $0) }
        }
    }
}

/// Some of a list's objects, as the server sent them: each is decoded when it is asked for. One that cannot be decoded is
/// skipped: any client that may create an object may create such a one.
package struct ListPage<O: ListedObject>: Sendable {
    /// The version of the whole list: where a watch goes on from it. All pages of a list have the same.
    package let resourceVersion: String
    /// Where the next page begins; empty: this is the last one.
    package let continueToken: String
    private let request: RequestInfo
    private let bytes: [UInt8]
    /// Where the list is in the bytes. Any XList has its metadata in field 1, its items in field 2.
    private let list: Range<Int>
    private var reader = WireReader()
    private let skip: @Sendable (UndecodableObject) -> Void

    /// - Parameter skip: called for an object that cannot be decoded.
    package init(
        _ bytes: [UInt8],
        request: RequestInfo,
        skip: @escaping @Sendable (UndecodableObject) -> Void = { _ in }
    ) throws(KubernetesError) {
        self.bytes = bytes
        self.request = request
        self.skip = skip
        do throws(WireError) {
            let envelope = try Envelope(bytes.span)
            try envelope.check(kind: "\(O.resource.kind)List", of: O.resource, in: bytes.span)
            list = envelope.content
            let metadata = try Self.metadata(ofList: bytes.span.extracting(list))
            (resourceVersion, continueToken) = (metadata.resourceVersion, metadata.continue)
        } catch {
            throw KubernetesError(error, request: request)
        }
    }

    /// The next object, without the fields that this program does not know; nil after the last one of the page.
    ///
    /// - Throws: where the list itself is broken, with `decoding`.
    package mutating func next() throws(KubernetesError) -> O? {
        // Not this value's own one: that would be read while it changes.
        let bytes = bytes
        let list = bytes.span.extracting(list)
        do throws(WireError) {
            while let field = try reader.listField(in: list) {
                guard field.number == 2, let item = field.message else { continue }
                let object = list.extracting(item)
                do throws(WireError) {
                    return try O(listed: object)
                } catch {
                    skip(UndecodableObject(O.resource, object, error))
                }
            }
            return nil
        } catch {
            throw KubernetesError(error, request: request)
        }
    }

    private static func metadata(ofList bytes: Span<UInt8>) throws(WireError) -> ListMeta {
        var metadata = ListMeta()
        var reader = WireReader()
        while let field = try reader.listField(in: bytes) {
            guard field.number == 1, let content = field.message else { continue }
            metadata = try ListMeta(decoding: bytes.extracting(content), keepingUnknownFields: false)
        }
        return metadata
    }
}

extension WireReader {
    fileprivate mutating func listField(in bytes: Span<UInt8>) throws(WireError) -> WireField? {
        do {
            return try next(in: bytes)
        } catch {
            throw WireError(message: "\(bytes.count) bytes are no list: \(error)")
        }
    }
}

/// A list in pages: each is asked for when the iterator is asked for it.
package struct ListPages<O: ListedObject>: AsyncSequence, Sendable {
    /// A page.
    package typealias Element = ListPage<O>
    /// What a request throws.
    package typealias Failure = KubernetesError

    fileprivate let client: KubernetesClient
    fileprivate let selection: Selection
    fileprivate let limit: Int

    /// Starts a list of its own.
    package func makeAsyncIterator() -> AsyncIterator {
        AsyncIterator(pages: self)
    }

    /// One list on its way.
    package struct AsyncIterator: AsyncIteratorProtocol {
        private let pages: ListPages
        /// Empty for the first page; nil after the last.
        private var token: String? = ""
        /// The most objects of the next page.
        private var limit: Int

        fileprivate init(pages: ListPages) {
            self.pages = pages
            limit = pages.limit
        }

        /// Asks for the next page. Ends after the last page, and after an error. A page that is too large to be received
        /// is requested again with half as many objects, as are the pages after it.
        package mutating func next() async throws(KubernetesError) -> ListPage<O>? {
            guard let token else { return nil }
            self.token = nil
            let info = RequestInfo(verb: .list, resource: O.resource, namespace: pages.selection.namespace)
            let body = try await body(info, token: token)
            let client = pages.client
            let page = try ListPage<O>(body, request: info) { client.skip($0) }
            if !page.continueToken.isEmpty { self.token = page.continueToken }
            return page
        }

        private mutating func body(_ info: RequestInfo, token: String) async throws(KubernetesError) -> [UInt8] {
            while true {
                var query = pages.selection.query + [(name: "limit", value: String(limit))]
                if !token.isEmpty { query.append((name: "continue", value: token)) }
                do {
                    return try await pages.client.unary(info, KubernetesClient.Content(query: query))
                } catch {
                    guard limit > 1, (error.cause as? HTTPError)?.code == .bodyTooLarge else { throw error }
                    limit /= 2
                }
            }
        }
    }
}

extension KubernetesClient {
    /// Lists objects, as they are in one moment, page by page.
    ///
    /// A list that takes so long that the server forgets its version (minutes) fails with `expired` and has to be
    /// started anew.
    ///
    /// RBAC: `list` on the resource, in the namespace or in the cluster.
    ///
    /// - Parameter limit: the most objects of a page.
    /// - Returns: pages; iterating throws ``KubernetesError``.
    package func list<O: ListedObject>(
        _: O.Type = O.self,
        _ selection: Selection = Selection(),
        limit: Int = 500
    ) -> ListPages<O> {
        ListPages(client: self, selection: selection, limit: limit)
    }

    /// The version that the server is at, by a list of one object.
    ///
    /// RBAC: `list` on the resource, in the namespace or in the cluster.
    func latestResourceVersion<O: ListedObject>(
        _: O.Type,
        _ selection: Selection
    ) async throws(KubernetesError) -> String {
        var pages = list(O.self, selection, limit: 1).makeAsyncIterator()
        return try await pages.next()?.resourceVersion ?? ""
    }
}
