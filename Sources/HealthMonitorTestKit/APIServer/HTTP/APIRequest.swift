// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Foundation

/// What a client asks of the API server, taken apart: what faults are planned by, access is decided by and the journal
/// keeps.
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

    /// The verb; for paths that are no resource (`/version`, `/healthz`), nil.
    package var verb: Verb?
    /// The API group of the resource; empty for the core group.
    package var group = ""
    /// `persistentvolumes`; empty for paths that are no resource.
    package var resource = ""
    /// `status`; empty for the object itself.
    package var subresource = ""
    /// Empty for objects of the cluster and for lists and watches over all namespaces.
    package var namespace = ""
    /// Empty for lists, for creations and for watches.
    package var name = ""
    /// The HTTP method.
    package var method: String
    /// The path, without the query.
    package var path: String
    /// The query, decoded; of repeated names the last.
    package var query: [String: String]
    /// Who asks; nil when the token is missing or unknown.
    package var user: String?
    /// The header User-Agent; empty when there is none.
    package var userAgent: String
    /// The header Accept; empty when there is none.
    package var accept: String
    /// The header Content-Type; empty when there is none.
    package var contentType: String
    /// Whether it came by HTTP/2.
    package var isHTTP2: Bool
    /// What was sent, as JSON, whichever encoding it came in; nil when nothing was, or nothing that could be read.
    package var body: JSONValue?
}

extension APIRequest {
    /// A request for a resource of the core group, made without a server.
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

    /// The type of the resource; nil when nothing serves it.
    var type: ResourceType? {
        resource.isEmpty ? nil : ResourceType.find(group: group, plural: resource)
    }

    /// Fills in verb and resource from method and path:
    /// `/api/v1[/namespaces/NS]/PLURAL[/NAME[/SUBRESOURCE]]` and `/apis/GROUP/VERSION...` alike.
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
