// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// A kind of object as the API server names it: everything that a request path and an envelope need.
public struct Resource: Sendable, Hashable {
    /// Where objects of a resource live.
    public enum Scope: Sendable, Hashable {
        case cluster
        case namespaced
    }

    /// The API group; empty for the core group.
    public var group: String
    /// The API version within the group: `v1`.
    public var version: String
    /// The kind in objects and envelopes: `PersistentVolume`.
    public var kind: String
    /// The name in paths and RBAC rules: `persistentvolumes`.
    public var plural: String
    /// Whether a path carries a namespace.
    public var scope: Scope

    /// Describes a resource.
    public init(group: String, version: String, kind: String, plural: String, scope: Scope) {
        self.group = group
        self.version = version
        self.kind = kind
        self.plural = plural
        self.scope = scope
    }

    /// Describes a resource of core/v1.
    public init(core kind: String, plural: String, scope: Scope) {
        self.init(group: "", version: "v1", kind: kind, plural: plural, scope: scope)
    }

    /// `apiVersion` as objects carry it: `v1`, `coordination.k8s.io/v1`.
    public var apiVersion: String {
        group.isEmpty ? version : "\(group)/\(version)"
    }
}
