// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// A CSI driver of this node, as its registrar presents it to the kubelet.
package struct RegisteredPlugin: Sendable, Hashable {
    /// The driver's name, `spec.csi.driver` of its volumes: a valid one, of at most 63 bytes.
    package var name: String
    /// The absolute path of the driver's socket on the host, of at most 107 bytes.
    package var endpoint: String
    /// The versions of the CSI specification that it supports; at most 16, of at most 64 bytes each.
    package var versions: [String]

    package init(name: String, endpoint: String, versions: [String] = []) {
        self.name = name
        self.endpoint = endpoint
        self.versions = versions
    }
}
