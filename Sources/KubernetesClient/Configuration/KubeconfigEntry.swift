// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import FoundationEssentials

/// An object in a kubeconfig, which knows where it is for the sake of messages.
struct KubeconfigEntry {
    let node: YAMLNode
    /// As in `users["admin"].user`; empty for the whole file.
    let key: String
    let file: String
    let readFile: FileReader

    func error(_ code: KubernetesConfigurationError.Code, _ message: String) -> KubernetesConfigurationError {
        let place = key.isEmpty ? "" : " \(key):"
        return KubernetesConfigurationError(code: code, message: "\(file):\(node.line):\(place) \(message)")
    }

    /// The text under `name`; nil when there is none or it is empty.
    func string(_ name: String) throws(KubernetesConfigurationError) -> String? {
        guard let member = member(name) else { return nil }
        guard case .scalar(let text, _) = member.node.content else {
            throw member.error(.malformed, "text is expected")
        }
        return text.isEmpty ? nil : text
    }

    /// The truth value under `name`; false when there is none.
    func bool(_ name: String) throws(KubernetesConfigurationError) -> Bool {
        guard let member = member(name) else { return false }
        switch member.node.content {
        case .scalar("true", isPlain: true): return true
        case .scalar("false", isPlain: true): return false
        default: throw member.error(.malformed, "true or false is expected")
        }
    }

    /// The bytes under `NAME-data`, in base64, or else of the file that `NAME` names.
    func data(_ name: String) throws(KubernetesConfigurationError) -> [UInt8]? {
        guard let text = try string("\(name)-data") else {
            return try file(name).map { path throws(KubernetesConfigurationError) in
                try readFile(path, Kubeconfig.maximumSize)
            }
        }
        // Text that YAML has folded over lines has white space in it.
        guard let data = Data(base64Encoded: text.filter { !$0.isWhitespace }) else {
            throw (member("\(name)-data") ?? self).error(.malformed, "base64 is expected")
        }
        return Array(data)
    }

    /// Where ``data(_:)`` has them from, for messages.
    func origin(ofData name: String) -> KubeconfigEntry {
        if let data = member("\(name)-data"), case .scalar(let text, _) = data.node.content, !text.isEmpty {
            return data
        }
        return member(name) ?? self
    }

    /// The file that ``data(_:)`` reads; nil where it reads none.
    func dataFile(_ name: String) throws(KubernetesConfigurationError) -> String? {
        try string("\(name)-data") == nil ? file(name) : nil
    }

    /// The path under `name`, relative to the kubeconfig's folder.
    func file(_ name: String) throws(KubernetesConfigurationError) -> String? {
        guard let path = try string(name) else { return nil }
        guard !path.hasPrefix("/"), let slash = file.lastIndex(of: "/") else { return path }
        return "\(file[..<slash])/\(path)"
    }

    /// The object under `kind` of the entry of a list that has this name: `contexts: [{name: NAME, context: {}}]`.
    func named(_ name: String, in list: String, as kind: String) throws(KubernetesConfigurationError) -> KubeconfigEntry
    {
        let entries = member(list)
        if let entries {
            guard case .sequence(let items) = entries.node.content else {
                throw entries.error(.malformed, "a list is expected")
            }
            for item in items {
                let entry = KubeconfigEntry(node: item, key: "\(list)[\"\(name)\"]", file: file, readFile: readFile)
                guard try entry.string("name") == name else { continue }
                guard let object = entry.member(kind) else { throw entry.error(.missing, "there is no \(kind) in it") }
                guard case .mapping = object.node.content else {
                    throw object.error(.malformed, "an object is expected")
                }
                return object
            }
        }
        throw (entries ?? self).error(.missing, "there is no \(kind) \"\(name)\"")
    }

    /// What is under `name`; nil when there is none or it is null.
    func member(_ name: String) -> KubeconfigEntry? {
        guard let value = node[name], value.content != .null else { return nil }
        let key = key.isEmpty ? name : "\(key).\(name)"
        return KubeconfigEntry(node: value, key: key, file: file, readFile: readFile)
    }
}
