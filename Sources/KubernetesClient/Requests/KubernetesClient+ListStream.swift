// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HTTPTransport
import KubernetesAPI

/// A whole list in one response, which is decoded while it arrives. Dropping it closes the connection.
struct ListStream<O: ListedObject> {
    /// A decoded field of the list.
    private enum Field {
        case metadata(ListMeta)
        case item(O)
        case other
    }

    private let client: KubernetesClient
    private let info: RequestInfo
    private var body: HTTPBody.Iterator
    private var decoder = ListStreamDecoder(resource: O.resource)
    /// The version of the list, from which a watch continues.
    private(set) var resourceVersion = ""

    /// Waits for the list's metadata.
    fileprivate init(_ client: KubernetesClient, _ body: HTTPBody, _ info: RequestInfo) async throws(KubernetesError) {
        self.client = client
        self.body = body.makeAsyncIterator()
        self.info = info
        var field = try nextField()
        while field == nil {
            if try await !receive() { throw truncated }
            field = try nextField()
        }
        guard case .metadata(let metadata) = field else {
            throw KubernetesError(WireError(message: "a list does not begin with its metadata"), request: info)
        }
        // Objects missing from an incomplete list would count as deleted.
        guard metadata.continue.isEmpty else {
            throw KubernetesError(WireError(message: "expected a whole list, received a page"), request: info)
        }
        resourceVersion = metadata.resourceVersion
    }

    /// The next object; nil after the last one. An undecodable object is skipped.
    ///
    /// - Throws: `transport` if the response ends before the list is complete.
    mutating func next() async throws(KubernetesError) -> O? {
        while true {
            if let object = try nextReceived() { return object }
            if decoder.isComplete { return nil }
            if try await !receive() { throw truncated }
        }
    }

    /// The next object that has arrived already; nil if more bytes are needed, or the list is complete.
    mutating func nextReceived() throws(KubernetesError) -> O? {
        while let field = try nextField() {
            if case .item(let object) = field { return object }
        }
        return nil
    }

    private var truncated: KubernetesError {
        KubernetesError(code: .transport, message: "\(info): the response ended within the list")
    }

    private mutating func receive() async throws(KubernetesError) -> Bool {
        do throws(HTTPError) {
            guard let bytes = try await body.next() else { return false }
            decoder.append(bytes)
            return true
        } catch {
            throw KubernetesError(error, request: info)
        }
    }

    private mutating func nextField() throws(KubernetesError) -> Field? {
        let client = client
        do throws(WireError) {
            return try decoder.next { number, bytes throws(WireError) in
                switch number {
                case 1: return .metadata(try ListMeta(decoding: bytes))
                case 2:
                    do throws(WireError) {
                        return .item(try O(listed: bytes))
                    } catch {
                        client.skip(UndecodableObject(O.resource, bytes, error))
                        return .other
                    }
                default: return .other
                }
            }
        } catch {
            throw KubernetesError(error, request: info)
        }
    }
}

extension KubernetesClient {
    /// Lists a consistent snapshot of objects in one response without a limit. Expensive for the server, which holds
    /// all of it in memory: only for lists that do not complete in pages.
    ///
    /// RBAC: `list` on the resource, in the namespace or in the cluster.
    ///
    /// - Throws: ``KubernetesError``; `timeout` if the server is silent for the request timeout.
    func listStream<O: ListedObject>(
        _: O.Type,
        _ selection: Selection
    ) async throws(KubernetesError) -> ListStream<O> {
        let info = RequestInfo(verb: .list, resource: O.resource, namespace: selection.namespace)
        try await waitForRateLimit(info)
        let body = try await stream(info, Content(query: selection.query), idle: requestTimeout)
        return try await ListStream(self, body, info)
    }
}
