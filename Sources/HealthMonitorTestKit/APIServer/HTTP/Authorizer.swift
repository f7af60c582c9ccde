// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Synchronization

/// A user, known by a bearer token, and what the user may do.
package struct APIUser: Sendable {
    /// As the real server names a service account: `system:serviceaccount:NAMESPACE:NAME`.
    package var name: String
    /// What the user may do; nil for everything.
    package var rules: [PolicyRule]?

    package init(name: String, rules: [PolicyRule]? = nil) {
        self.name = name
        self.rules = rules
    }
}

/// A rule of a Role or ClusterRole, with `*` for anything.
package struct PolicyRule: Sendable, Hashable {
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`
    package var verbs: [String]
    /// Empty for the core group.
    package var apiGroups: [String]
    /// `persistentvolumeclaims`, `persistentvolumeclaims/status`
    package var resources: [String]
    /// The names of the objects that the rule covers; empty for all.
    package var resourceNames: [String]
    /// The namespace of the RoleBinding; nil for a ClusterRoleBinding.
    package var namespace: String?

    package init(
        verbs: [String],
        apiGroups: [String],
        resources: [String],
        resourceNames: [String] = [],
        namespace: String? = nil
    ) {
        self.verbs = verbs
        self.apiGroups = apiGroups
        self.resources = resources
        self.resourceNames = resourceNames
        self.namespace = namespace
    }

    /// Whether the rule grants a request for a resource.
    package func allows(_ request: APIRequest) -> Bool {
        guard let verb = request.verb?.rawValue else { return false }
        let resource = request.subresource.isEmpty ? request.resource : "\(request.resource)/\(request.subresource)"
        return Self.matches(verbs, verb) && Self.matches(apiGroups, request.group) && Self.matches(resources, resource)
            && (resourceNames.isEmpty || resourceNames.contains(request.name))
            && (namespace == nil || namespace == request.namespace)
    }

    private static func matches(_ granted: [String], _ wanted: String) -> Bool {
        granted.contains(wanted) || granted.contains("*")
    }
}

/// The users of a server, shared with its handler; a test may change them at any time.
final class UserDirectory: Sendable {
    private let users: Mutex<[String: APIUser]>

    init(_ users: [String: APIUser]) {
        self.users = Mutex(users)
    }

    /// By bearer token.
    var all: [String: APIUser] {
        get { users.withLock { $0 } }
        set { users.withLock { $0 = newValue } }
    }

    /// For the users at this moment.
    var authorizer: Authorizer { Authorizer(users: all) }
}

/// Authenticates and authorizes requests.
struct Authorizer: Sendable {
    /// By bearer token.
    let users: [String: APIUser]

    /// The user of an Authorization header's token.
    func user(authorization: String?) -> APIUser? {
        guard let authorization, authorization.lowercased().hasPrefix("bearer ") else { return nil }
        return users[String(authorization.dropFirst("bearer ".count))]
    }

    /// - Throws: `StatusError` 401 without a user, 403 when no rule of the user allows the request.
    func authorize(_ request: APIRequest, user: APIUser?) throws(StatusError) {
        let isPublic = ["/healthz", "/livez", "/readyz", "/version"].contains(request.path)
        guard let user else {
            if isPublic { return }
            throw .unauthorized
        }
        // Discovery, which every user may read.
        guard !request.resource.isEmpty, let rules = user.rules else { return }
        // The ClusterRole system:basic-user allows it to everyone.
        if request.type?.kind == ResourceType.selfSubjectAccessReviews.kind, request.verb == .create { return }
        guard rules.contains(where: { $0.allows(request) }) else { throw .forbidden(request, user: user.name) }
    }
}

extension Authorizer {
    /// A SelfSubjectAccessReview with its `status`: whether ``authorize(_:user:)`` allows such a request.
    func complete(_ review: JSONValue, user: APIUser?) throws(StatusError) -> JSONValue {
        guard let attributes = review["spec", "resourceAttributes"],
            let verb = APIRequest.Verb(rawValue: attributes["verb"]?.string ?? "")
        else { throw .badRequest("the simulated server supports reviews of resourceAttributes only") }
        var request = APIRequest(
            verb: verb,
            resource: attributes["resource"]?.string ?? "",
            namespace: attributes["namespace"]?.string ?? "",
            name: attributes["name"]?.string ?? ""
        )
        request.group = attributes["group"]?.string ?? ""
        request.subresource = attributes["subresource"]?.string ?? ""
        var review = review
        let isAllowed: Bool
        do throws(StatusError) {
            try authorize(request, user: user)
            isAllowed = true
        } catch {
            isAllowed = false
        }
        review["status"] = ["allowed": .bool(isAllowed)]
        return review
    }
}

extension StatusError {
    static func forbidden(_ request: APIRequest, user: String) -> StatusError {
        let resource = request.subresource.isEmpty ? request.resource : "\(request.resource)/\(request.subresource)"
        let object = request.group.isEmpty ? request.resource : "\(request.resource).\(request.group)"
        let subject = request.name.isEmpty ? "\(object) is forbidden" : "\(object) \"\(request.name)\" is forbidden"
        let scope = request.namespace.isEmpty ? "at the cluster scope" : "in the namespace \"\(request.namespace)\""
        var details: JSONValue = ["kind": .string(request.resource)]
        if !request.name.isEmpty { details["name"] = .string(request.name) }
        if !request.group.isEmpty { details["group"] = .string(request.group) }
        return StatusError(
            code: 403,
            reason: "Forbidden",
            message: "\(subject): User \"\(user)\" cannot \(request.verb?.rawValue ?? "") resource \"\(resource)\" "
                + "in API group \"\(request.group)\" \(scope)",
            details: details
        )
    }
}
