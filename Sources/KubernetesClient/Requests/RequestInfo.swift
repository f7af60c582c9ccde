// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

package import KubernetesAPI

/// The attributes of a request, as RBAC sees them.
package struct RequestInfo: Sendable, Hashable, CustomStringConvertible {
    package enum Verb: String, Sendable, Hashable {
        case get
        case list
        case watch
        case create
        case update
        case patch
    }

    package var verb: Verb
    package var resource: Resource
    /// nil for all namespaces, or for a cluster-scoped resource.
    package var namespace: String?
    /// nil for a collection.
    package var name: String?
    /// nil for the object itself.
    package var subresource: String?
    /// Set for a request that is not for a resource, such as `/version`. Then ``resource`` only names it.
    private var nonResourceURL: String?

    static let version: RequestInfo = {
        var info = RequestInfo(verb: .get, resource: Resource(core: "", plural: "version", scope: .cluster))
        info.nonResourceURL = "/version"
        return info
    }()

    package init(
        verb: Verb,
        resource: Resource,
        namespace: String? = nil,
        name: String? = nil,
        subresource: String? = nil
    ) {
        self.verb = verb
        self.resource = resource
        self.namespace = namespace
        self.name = name
        self.subresource = subresource
    }

    /// Such as `patch persistentvolumeclaims/status shop/data`.
    package var description: String {
        let object = [namespace, name].compactMap(\.self).joined(separator: "/")
        return "\(verb.rawValue) \(plural)\(object.isEmpty ? "" : " \(object)")"
    }

    /// The RBAC rule that allows the request, as YAML for a Role.
    package var rbacRule: String {
        if let nonResourceURL { return "{nonResourceURLs: [\"\(nonResourceURL)\"], verbs: [\"\(verb.rawValue)\"]}" }
        return "{apiGroups: [\"\(resource.group)\"], resources: [\"\(plural)\"], verbs: [\"\(verb.rawValue)\"]}"
    }

    /// The resource with its subresource, as in a Role.
    var plural: String {
        subresource.map { "\(resource.plural)/\($0)" } ?? resource.plural
    }

    /// The URL path, with each name percent-encoded.
    var path: String {
        if let nonResourceURL { return nonResourceURL }
        var path = resource.group.isEmpty ? "/api/\(resource.version)" : "/apis/\(resource.group)/\(resource.version)"
        if let namespace, resource.scope == .namespaced {
            path += "/namespaces/\(percentEncoded(namespace))"
        }
        path += "/\(resource.plural)"
        if let name { path += "/\(percentEncoded(name))" }
        if let subresource { path += "/\(subresource)" }
        return path
    }
}

/// Encodes a path segment or a query value: all but the unreserved characters of RFC 3986.
func percentEncoded(_ text: String) -> String {
    if text.utf8.allSatisfy(isUnreserved) { return text }
    var encoded = ""
    for byte in text.utf8 {
        if isUnreserved(byte) {
            encoded.unicodeScalars.append(Unicode.Scalar(byte))
        } else {
            encoded += "%" + (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true)
        }
    }
    return encoded
}

private func isUnreserved(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
        UInt8(ascii: "~"):
        true
    default: false
    }
}
