// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

package import HealthCore

/// The namespace and name of a PersistentVolumeClaim. A claim that is deleted and created again has the same key and
/// another uid.
package struct ClaimKey: Sendable, Hashable {
    package var namespace: String
    package var name: String

    package init(namespace: String, name: String) {
        self.namespace = namespace
        self.name = name
    }
}

/// A PersistentVolumeClaim, reduced to what a report on it needs.
package struct Claim: Sendable, Hashable {
    package var key: ClaimKey
    /// `metadata.uid`: the claim's identity.
    package var uid: String
    /// `metadata.resourceVersion` when it was last seen.
    package var resourceVersion: String

    package init(key: ClaimKey, uid: String, resourceVersion: String) {
        self.key = key
        self.uid = uid
        self.resourceVersion = resourceVersion
    }

    /// Whether this is a later version of the claim. Versions of one resource are decimal numbers in the order of its
    /// writes (KEP-5504); false where they are not.
    func isNewer(than other: Claim) -> Bool {
        guard let mine = UInt64(resourceVersion), let theirs = UInt64(other.resourceVersion) else { return false }
        return mine > theirs
    }
}

/// Identifies a claim in four bytes while it exists. A claim with the same name and another uid is another claim.
package struct ClaimNumber: Sendable, Hashable {
    private let number: UInt32

    init(_ position: Int) { number = UInt32(position) }

    var position: Int { Int(number) }
}

/// Identifies a volume handle in four bytes while a volume has it.
struct HandleNumber: Sendable, Hashable {
    private let number: UInt32

    init(_ position: Int) { number = UInt32(position) }

    var position: Int { Int(number) }
}

extension Claim: ReportTarget {
    package var namespace: String { key.namespace }
}

extension PendingReport where Target == Claim {
    package var claim: Claim { target }
}
