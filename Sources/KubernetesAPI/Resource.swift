// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// A resource of the Kubernetes API: what request paths, envelopes and RBAC rules need.
package struct Resource: Sendable, Hashable {
    package enum Scope: Sendable, Hashable {
        case cluster
        case namespaced
    }

    /// Empty for the core group.
    package var group: String
    /// `v1`
    package var version: String
    /// `PersistentVolume`
    package var kind: String
    /// `persistentvolumes`, as in paths and RBAC rules.
    package var plural: String
    package var scope: Scope

    package init(group: String, version: String, kind: String, plural: String, scope: Scope) {
        self.group = group
        self.version = version
        self.kind = kind
        self.plural = plural
        self.scope = scope
    }

    /// A resource of core/v1.
    package init(core kind: String, plural: String, scope: Scope) {
        self.init(group: "", version: "v1", kind: kind, plural: plural, scope: scope)
    }

    /// `v1`, `coordination.k8s.io/v1`
    package var apiVersion: String {
        group.isEmpty ? version : "\(group)/\(version)"
    }
}
