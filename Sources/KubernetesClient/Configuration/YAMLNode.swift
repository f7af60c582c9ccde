// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// A YAML (or JSON) document as a tree with line numbers.
package struct YAMLNode: Sendable, Hashable {
    package enum Content: Sendable, Hashable {
        /// Empty, `~` or `null`.
        case null
        /// Any other scalar. `isPlain`: it was not quoted, so it may be a bool or a number.
        case scalar(String, isPlain: Bool)
        case sequence([YAMLNode])
        /// In the order of the document, with unique keys.
        case mapping([Member])
    }

    package struct Member: Sendable, Hashable {
        package var key: String
        package var value: YAMLNode
    }

    package var content: Content
    /// Counted from 1.
    package var line: Int

    /// The value of `key`; nil if it is missing, or this is not a mapping.
    subscript(key: String) -> YAMLNode? {
        guard case .mapping(let members) = content else { return nil }
        return members.first { $0.key == key }?.value
    }
}

/// Text that is not YAML, or exceeds the limits of ``YAMLParser``.
package struct YAMLError: Error, Hashable {
    /// Counted from 1.
    package var line: Int
    package var message: String
}
