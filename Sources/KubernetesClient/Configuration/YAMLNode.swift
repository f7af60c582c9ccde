// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// A YAML document, which may be a JSON document, as a tree that knows its lines.
package struct YAMLNode: Sendable, Hashable {
    package enum Content: Sendable, Hashable {
        /// Nothing, `~` or `null`.
        case null
        /// Any other scalar, as text. `isPlain` says that it was not quoted, so it may mean a truth value.
        case scalar(String, isPlain: Bool)
        case sequence([YAMLNode])
        /// In the order of the document; no key is there twice.
        case mapping([Member])
    }

    package struct Member: Sendable, Hashable {
        package var key: String
        package var value: YAMLNode
    }

    package var content: Content
    /// Counted from 1.
    package var line: Int

    /// The value under `key`; nil when there is none, or this is no mapping.
    subscript(key: String) -> YAMLNode? {
        guard case .mapping(let members) = content else { return nil }
        return members.first { $0.key == key }?.value
    }
}

/// Text that is no YAML, or more of it than a configuration file has.
package struct YAMLError: Error, Hashable {
    /// Counted from 1.
    package var line: Int
    package var message: String
}
