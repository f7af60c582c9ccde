// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// Names that EHM gives its Lease and its candidates, so that a replica of it and one of ours contend for the same.
///
/// Source: kubernetes-csi/csi-lib-utils, leaderelection.
package enum LeaseName {
    /// The Lease of a driver's controllers: `external-health-monitor-leader-DRIVER`, made fit for an object name.
    package static func controller(driverName: String) -> String {
        sanitize("external-health-monitor-leader-\(driverName)")
    }

    /// A candidate's identity: the host name, in a Pod the Pod's name.
    package static func identity(hostName: String) -> String {
        sanitize(hostName)
    }

    /// Every character outside [A-Za-z0-9-] becomes `-`; a name must not end in one and gets an `X`.
    static func sanitize(_ name: String) -> String {
        var sanitized = String(
            name.unicodeScalars.map { scalar in
                switch scalar {
                case "a"..."z", "A"..."Z", "0"..."9", "-": Character(scalar)
                default: "-"
                }
            }
        )
        if sanitized.hasSuffix("-") { sanitized += "X" }
        return sanitized
    }
}
