// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

package import KubernetesAPI

/// What a request is about, in the terms of RBAC.
package struct RequestInfo: Sendable, Hashable, CustomStringConvertible {
    /// The verb of an RBAC rule.
    package enum Verb: String, Sendable, Hashable {
        case get
        case list
        case watch
        case create
        case update
        case patch
    }

    /// What is done.
    package var verb: Verb
    /// What it is done to.
    package var resource: Resource
    /// nil: all namespaces, or the resource has none.
    package var namespace: String?
    /// nil: a collection.
    package var name: String?
    /// nil: the object itself.
    package var subresource: String?
    /// The path of what is no resource, `/version`; ``resource`` has its name then.
    private var nonResourceURL: String?

    /// The server's version.
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

    /// `patch persistentvolumeclaims/status shop/data`
    package var description: String {
        let object = [namespace, name].compactMap(\.self).joined(separator: "/")
        return "\(verb.rawValue) \(plural)\(object.isEmpty ? "" : " \(object)")"
    }

    /// The rule that allows it, as it stands in a Role.
    package var rbacRule: String {
        if let nonResourceURL { return "{nonResourceURLs: [\"\(nonResourceURL)\"], verbs: [\"\(verb.rawValue)\"]}" }
        return "{apiGroups: [\"\(resource.group)\"], resources: [\"\(plural)\"], verbs: [\"\(verb.rawValue)\"]}"
    }

    /// The resource with its subresource, as it stands in a Role.
    var plural: String {
        subresource.map { "\(resource.plural)/\($0)" } ?? resource.plural
    }

    /// The path of the request, each name escaped.
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

/// RFC 3986: everything but the unreserved characters, for a segment of a path or a value of a query.
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
