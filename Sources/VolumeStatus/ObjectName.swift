// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// The namespace and the name of an object.
package struct ObjectName: Sendable, Hashable, Comparable, CustomStringConvertible {
    package var namespace: String
    package var name: String

    package init(_ namespace: String = "", _ name: String = "") {
        self.namespace = namespace
        self.name = name
    }

    /// `NAMESPACE/NAME`
    package var description: String { "\(namespace)/\(name)" }

    package static func < (left: Self, right: Self) -> Bool {
        (left.namespace, left.name) < (right.namespace, right.name)
    }
}
