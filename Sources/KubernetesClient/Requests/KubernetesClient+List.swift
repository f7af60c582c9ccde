// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HTTPTransport
package import KubernetesAPI
import ProtobufWire
import SwiftProtobuf

/// Selects objects of a resource.
package struct Selection: Sendable, Hashable {
    /// nil for all namespaces, or for a cluster-scoped resource.
    package var namespace: String?
    /// Such as `involvedObject.uid=1234,type=Warning`.
    package var fieldSelector: String?
    /// Such as `app=db,tier in (gold,silver)`.
    package var labelSelector: String?

    /// Selects all objects by default.
    package init(namespace: String? = nil, fieldSelector: String? = nil, labelSelector: String? = nil) {
        self.namespace = namespace
        self.fieldSelector = fieldSelector
        self.labelSelector = labelSelector
    }

    var query: [(name: String, value: String)] {
        [(name: "fieldSelector", value: fieldSelector), (name: "labelSelector", value: labelSelector)]
            .compactMap { name, value in value.map { (name: name, value: $0) } }
    }
}

/// A page of a list. Objects are decoded one by one, by ``next()``. An undecodable object is skipped, because any
/// client that may create an object can store one.
package struct ListPage<O: ListedObject>: Sendable {
    /// The version of the whole list, from which a watch continues. It is the same for all pages of a list.
    package let resourceVersion: String
    /// The token for the next page; empty for the last page.
    package let continueToken: String
    private let request: RequestInfo
    private let bytes: [UInt8]
    /// The range of the list in the bytes. Every list type has its metadata in field 1 and its items in field 2.
    private let list: Range<Int>
    private var reader = WireReader()
    private let skip: @Sendable (UndecodableObject) -> Void

    /// - Parameter skip: is called for each undecodable object.
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

    /// The next object, without unknown fields; nil after the last object of the page.
    ///
    /// - Throws: `decoding` if the list itself is malformed.
    package mutating func next() throws(KubernetesError) -> O? {
        // A copy, because a span of the stored property would overlap the mutation of `reader`.
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
            metadata = try ListMeta(decoding: bytes.extracting(content))
        }
        return metadata
    }
}

extension WireReader {
    fileprivate mutating func listField(in bytes: Span<UInt8>) throws(WireError) -> WireField? {
        do {
            return try next(in: bytes)
        } catch {
            throw WireError(message: "\(bytes.count) bytes are not a list: \(error)")
        }
    }
}

/// A list in pages. Each page is requested when the iterator needs it; every iterator starts a new list.
package struct ListPages<O: ListedObject>: AsyncSequence, Sendable {
    package typealias Element = ListPage<O>
    package typealias Failure = KubernetesError

    fileprivate let client: KubernetesClient
    fileprivate let selection: Selection
    fileprivate let limit: Int

    package func makeAsyncIterator() -> AsyncIterator {
        AsyncIterator(pages: self)
    }

    package struct AsyncIterator: AsyncIteratorProtocol {
        private let pages: ListPages
        /// Empty before the first page; nil after the last one.
        private var token: String? = ""
        /// The maximum number of objects in the next page.
        private var limit: Int

        fileprivate init(pages: ListPages) {
            self.pages = pages
            limit = pages.limit
        }

        /// Requests the next page; nil after the last page, and after an error. If a page is too large to be received,
        /// it and the following pages are requested with half as many objects.
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
    /// Lists a consistent snapshot of objects, page by page.
    ///
    /// If the server forgets the list's version meanwhile (after minutes), iteration throws `expired`, and the caller
    /// must start a new list.
    ///
    /// RBAC: `list` on the resource, in the namespace or in the cluster.
    ///
    /// - Parameter limit: the maximum number of objects in a page.
    /// - Returns: the pages. Iteration throws ``KubernetesError``.
    package func list<O: ListedObject>(
        _: O.Type = O.self,
        _ selection: Selection = Selection(),
        limit: Int = 500
    ) -> ListPages<O> {
        ListPages(client: self, selection: selection, limit: limit)
    }

    /// The server's latest resourceVersion, from a list of one object.
    ///
    /// RBAC: `list` on the resource, in the namespace or in the cluster.
    @discardableResult
    package func latestResourceVersion<O: ListedObject>(
        _: O.Type,
        _ selection: Selection = Selection()
    ) async throws(KubernetesError) -> String {
        var pages = list(O.self, selection, limit: 1).makeAsyncIterator()
        return try await pages.next()?.resourceVersion ?? ""
    }
}
