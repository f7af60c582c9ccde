// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

package import FoundationEssentials
public import KubernetesAPI

/// Which objects of a resource are meant.
public struct Selection: Sendable, Hashable {
    /// nil: of all namespaces, or the resource has none.
    public var namespace: String?
    /// `app=web,tier!=cache`; nil: all.
    public var labelSelector: String?
    /// `involvedObject.uid=1234,type=Warning`; nil: all.
    public var fieldSelector: String?

    /// All objects, or those of one namespace, or some of them.
    public init(namespace: String? = nil, labelSelector: String? = nil, fieldSelector: String? = nil) {
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

/// Some of a list's objects.
public struct ListPage<O: KubernetesObject>: Sendable {
    /// Without the fields that this program does not know.
    public var items: [O]
    /// The version of the whole list: where a watch goes on from it. All pages of a list have the same.
    public var resourceVersion: String
    /// Where the next page begins; empty: this is the last one.
    package var continueToken: String
}

extension ListPage {
    /// A page as the server sends it.
    package init(_ body: Data) throws(WireError) {
        let list = try Envelope(body).list(of: O.resource)
        var items: [O] = []
        items.reserveCapacity(list.items.count)
        for item in list.items {
            items.append(try O(decoding: item, keepingUnknownFields: false))
        }
        self.init(
            items: items,
            resourceVersion: list.metadata.resourceVersion,
            continueToken: list.metadata.continue
        )
    }
}

/// A list in pages: each is asked for when the iterator is asked for it.
public struct ListPages<O: KubernetesObject>: AsyncSequence, Sendable {
    /// A page.
    public typealias Element = ListPage<O>
    /// What a request throws.
    public typealias Failure = KubernetesError

    fileprivate let client: KubernetesClient
    fileprivate let selection: Selection
    fileprivate let limit: Int

    /// Starts a list of its own.
    public func makeAsyncIterator() -> AsyncIterator {
        AsyncIterator(pages: self)
    }

    /// One list on its way.
    public struct AsyncIterator: AsyncIteratorProtocol {
        private let pages: ListPages
        /// Empty for the first page; nil after the last.
        private var token: String? = ""

        fileprivate init(pages: ListPages) {
            self.pages = pages
        }

        /// Asks for the next page. Ends after the last page, and after an error.
        public mutating func next() async throws(KubernetesError) -> ListPage<O>? {
            guard let token else { return nil }
            self.token = nil
            let info = RequestInfo(verb: .list, resource: O.resource, namespace: pages.selection.namespace)
            var query = pages.selection.query + [(name: "limit", value: String(pages.limit))]
            if !token.isEmpty { query.append((name: "continue", value: token)) }
            let body = try await pages.client.unary(info, KubernetesClient.Content(query: query))
            do throws(WireError) {
                let page = try ListPage<O>(body)
                if !page.continueToken.isEmpty { self.token = page.continueToken }
                return page
            } catch {
                throw KubernetesError(error, request: info)
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
    public func list<O: KubernetesObject>(
        _: O.Type = O.self,
        _ selection: Selection = Selection(),
        limit: Int = 500
    ) -> ListPages<O> {
        ListPages(client: self, selection: selection, limit: limit)
    }

    /// The version that the server is at, by a list of one object.
    ///
    /// RBAC: `list` on the resource, in the namespace or in the cluster.
    func latestResourceVersion<O: KubernetesObject>(
        _: O.Type,
        _ selection: Selection
    ) async throws(KubernetesError) -> String {
        var pages = list(O.self, selection, limit: 1).makeAsyncIterator()
        return try await pages.next()?.resourceVersion ?? ""
    }
}
