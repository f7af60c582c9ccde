// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// Lease names and identities as kubernetes-csi/csi-lib-utils writes them (`leaderelection/leader_election.go`,
/// `sanitizeName`), so that sidecars built on it and this client can contend for the same Lease.
package enum LeaseName {
    /// Replaces every character outside `[A-Za-z0-9-]` by `-`, and appends `X` to a name that then ends in `-`.
    package static func sanitized(_ name: String) -> String {
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
