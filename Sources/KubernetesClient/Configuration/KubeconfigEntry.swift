// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import FoundationEssentials

/// A value in a kubeconfig with its location, for error messages.
struct KubeconfigEntry {
    let node: YAMLNode
    /// Such as `users["admin"].user`; empty for the whole file.
    let key: String
    let file: String
    let readFile: FileReader

    func error(_ code: KubernetesConfigurationError.Code, _ message: String) -> KubernetesConfigurationError {
        let place = key.isEmpty ? "" : " \(key):"
        return KubernetesConfigurationError(code: code, message: "\(file):\(node.line):\(place) \(message)")
    }

    /// The string of field `name`; nil if it is missing or empty.
    func string(_ name: String) throws(KubernetesConfigurationError) -> String? {
        guard let member = member(name) else { return nil }
        guard case .scalar(let text, _) = member.node.content else {
            throw member.error(.malformed, "expected a string")
        }
        return text.isEmpty ? nil : text
    }

    /// The bool of field `name`; false if it is missing.
    func bool(_ name: String) throws(KubernetesConfigurationError) -> Bool {
        guard let member = member(name) else { return false }
        switch member.node.content {
        case .scalar("true", isPlain: true): return true
        case .scalar("false", isPlain: true): return false
        default: throw member.error(.malformed, "expected true or false")
        }
    }

    /// The bytes of field `NAME-data`, in base64, or else of the file at the path in field `NAME`.
    func data(_ name: String) throws(KubernetesConfigurationError) -> [UInt8]? {
        guard let text = try string("\(name)-data") else {
            return try file(name).map { path throws(KubernetesConfigurationError) in
                try readFile(path, Kubeconfig.maximumSize)
            }
        }
        // A string that YAML has folded over several lines contains white space.
        guard let data = Data(base64Encoded: text.filter { !$0.isWhitespace }) else {
            throw (member("\(name)-data") ?? self).error(.malformed, "expected base64")
        }
        return Array(data)
    }

    /// The field that ``data(_:)`` uses, for error messages.
    func origin(ofData name: String) -> KubeconfigEntry {
        if let data = member("\(name)-data"), case .scalar(let text, _) = data.node.content, !text.isEmpty {
            return data
        }
        return member(name) ?? self
    }

    /// The file that ``data(_:)`` reads; nil if it reads no file.
    func dataFile(_ name: String) throws(KubernetesConfigurationError) -> String? {
        try string("\(name)-data") == nil ? file(name) : nil
    }

    /// The path of field `name`, resolved against the kubeconfig's directory.
    func file(_ name: String) throws(KubernetesConfigurationError) -> String? {
        guard let path = try string(name) else { return nil }
        guard !path.hasPrefix("/"), let slash = file.lastIndex(of: "/") else { return path }
        return "\(file[..<slash])/\(path)"
    }

    /// The object of the list entry with this name, as in `contexts: [{name: NAME, context: {}}]`.
    func named(_ name: String, in list: String, as kind: String) throws(KubernetesConfigurationError) -> KubeconfigEntry
    {
        let entries = member(list)
        if let entries {
            guard case .sequence(let items) = entries.node.content else {
                throw entries.error(.malformed, "expected a list")
            }
            for item in items {
                let entry = KubeconfigEntry(node: item, key: "\(list)[\"\(name)\"]", file: file, readFile: readFile)
                guard try entry.string("name") == name else { continue }
                guard let object = entry.member(kind) else { throw entry.error(.missing, "\(kind) is missing") }
                guard case .mapping = object.node.content else {
                    throw object.error(.malformed, "expected an object")
                }
                return object
            }
        }
        throw (entries ?? self).error(.missing, "\(kind) \"\(name)\" does not exist")
    }

    /// The field `name`; nil if it is missing or null.
    func member(_ name: String) -> KubeconfigEntry? {
        guard let value = node[name], value.content != .null else { return nil }
        let key = key.isEmpty ? name : "\(key).\(name)"
        return KubeconfigEntry(node: value, key: key, file: file, readFile: readFile)
    }
}
