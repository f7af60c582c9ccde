// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Foundation

/// A client's request to the API server, parsed: for interceptors, authorization and the journal.
package struct APIRequest: Sendable {
    /// The verb as RBAC names it.
    package enum Verb: String, Sendable {
        case get
        case list
        case watch
        case create
        case update
        case patch
        case delete
    }

    /// nil for paths that are not resources, such as `/version` and `/healthz`.
    package var verb: Verb?
    /// The API group of the resource; empty for the core group.
    package var group = ""
    /// `persistentvolumes`; empty for paths that are not resources.
    package var resource = ""
    /// `status`; empty for the object itself.
    package var subresource = ""
    /// Empty for cluster-scoped objects and for lists and watches of all namespaces.
    package var namespace = ""
    /// Empty for lists, watches and creates.
    package var name = ""
    package var method: String
    /// The path, without the query.
    package var path: String
    /// The query, decoded; of repeated names the last counts.
    package var query: [String: String]
    /// nil when the token is missing or unknown.
    package var user: String?
    /// The User-Agent header; empty when there is none.
    package var userAgent: String
    /// The Accept header; empty when there is none.
    package var accept: String
    /// The Content-Type header; empty when there is none.
    package var contentType: String
    package var isHTTP2: Bool
    /// The body as JSON, whichever encoding it came in; nil when there was none or it could not be decoded.
    package var body: JSONValue?
}

extension APIRequest {
    /// A request for a resource of the core group that no client sent.
    package init(verb: Verb, resource: String, namespace: String, name: String) {
        self.verb = verb
        self.resource = resource
        self.namespace = namespace
        self.name = name
        (method, path, query, userAgent, accept, contentType, isHTTP2) = ("", "", [:], "", "", "", false)
    }

    init(_ http: TestHTTPRequest, user: String?) {
        method = http.method
        path = http.path
        query = Dictionary(http.query.map { ($0.name, $0.value) }) { _, last in last }
        self.user = user
        userAgent = http.header("user-agent") ?? ""
        accept = http.header("accept") ?? ""
        contentType = http.header("content-type") ?? ""
        isHTTP2 = http.isHTTP2
    }

    /// nil for a resource that the server does not serve.
    var type: ResourceType? {
        resource.isEmpty ? nil : ResourceType.find(group: group, plural: resource)
    }

    /// Fills in verb and resource from method and path: `/api/v1[/namespaces/NS]/PLURAL[/NAME[/SUBRESOURCE]]`, and the
    /// same after `/apis/GROUP/VERSION`.
    mutating func resolve() {
        var parts = path.split(separator: "/").compactMap { String($0).removingPercentEncoding }[...]
        switch parts.popFirst() {
        case "api": break
        case "apis": group = parts.popFirst() ?? ""
        default: return
        }
        guard parts.popFirst() != nil, let first = parts.popFirst() else { return }
        resource = first
        if first == "namespaces", parts.count >= 2, parts[parts.startIndex + 1] != "status" {
            namespace = parts.popFirst() ?? ""
            resource = parts.popFirst() ?? ""
        }
        name = parts.popFirst() ?? ""
        subresource = parts.popFirst() ?? ""
        verb =
            switch method {
            case "GET": name.isEmpty ? (isWatch ? .watch : .list) : .get
            case "POST": .create
            case "PUT": .update
            case "PATCH": .patch
            case "DELETE": .delete
            default: nil
            }
    }

    private var isWatch: Bool {
        ["1", "true"].contains(query["watch"] ?? "")
    }
}
