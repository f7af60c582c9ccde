// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// A kind of object as the API server names it: everything that a request path and an envelope need.
package struct Resource: Sendable, Hashable {
    /// Where objects of a resource live.
    package enum Scope: Sendable, Hashable {
        case cluster
        case namespaced
    }

    /// The API group; empty for the core group.
    package var group: String
    /// The API version within the group: `v1`.
    package var version: String
    /// The kind in objects and envelopes: `PersistentVolume`.
    package var kind: String
    /// The name in paths and RBAC rules: `persistentvolumes`.
    package var plural: String
    /// Whether a path carries a namespace.
    package var scope: Scope

    /// Describes a resource.
    package init(group: String, version: String, kind: String, plural: String, scope: Scope) {
        self.group = group
        self.version = version
        self.kind = kind
        self.plural = plural
        self.scope = scope
    }

    /// Describes a resource of core/v1.
    package init(core kind: String, plural: String, scope: Scope) {
        self.init(group: "", version: "v1", kind: kind, plural: plural, scope: scope)
    }

    /// `apiVersion` as objects carry it: `v1`, `coordination.k8s.io/v1`.
    package var apiVersion: String {
        group.isEmpty ? version : "\(group)/\(version)"
    }
}
