// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// Names a Secret.
package struct SecretName: Sendable, Hashable {
    package var namespace: String
    package var name: String

    package init(namespace: String, name: String) {
        self.namespace = namespace
        self.name = name
    }
}
