// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

package import HealthCore

/// Where a PersistentVolumeClaim is found. A claim that is deleted and made anew has the same key and another uid.
package struct ClaimKey: Sendable, Hashable {
    /// `metadata.namespace`
    package var namespace: String
    /// `metadata.name`
    package var name: String

    /// Names a claim.
    package init(namespace: String, name: String) {
        self.namespace = namespace
        self.name = name
    }
}

/// A PersistentVolumeClaim as far as attemptID it something needs.
package struct Claim: Sendable, Hashable {
    /// Namespace and name.
    package var key: ClaimKey
    /// `metadata.uid`: the claim's identity.
    package var uid: String
    /// `metadata.resourceVersion` when it was last seen.
    package var resourceVersion: String

    /// Describes a claim.
    package init(key: ClaimKey, uid: String, resourceVersion: String) {
        self.key = key
        self.uid = uid
        self.resourceVersion = resourceVersion
    }

    /// Whether this is a later state of the claim. Versions of one resource are decimal numbers in the order of its writes
    /// (KEP-5504); where they are not, nobody knows.
    func isNewer(than other: Claim) -> Bool {
        guard let mine = UInt64(resourceVersion), let theirs = UInt64(other.resourceVersion) else { return false }
        return mine > theirs
    }
}

/// Names a claim in four bytes for as long as it is there: a claim of the same name and another uid is another one.
package struct ClaimNumber: Sendable, Hashable {
    private let number: UInt32

    init(_ position: Int) { number = UInt32(position) }

    var position: Int { Int(number) }
}

/// Names a volume handle in four bytes for as long as there is a volume with it.
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
