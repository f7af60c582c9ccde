// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import KubernetesAPI

/// How many claims of a driver were looked at, and how many of them are unhealthy: is it the whole storage system?
package struct DriverSummary: Sendable, Hashable {
    package var name: String
    package private(set) var claims = 0
    package private(set) var byStatus: [VolumeHealthRow.Status: Int] = [:]
    /// Whether a Lease of the driver's controllers is renewed; nil: this user may not list Leases.
    package var isLeaseRenewed: Bool?
    /// Whether a status, a condition or an event of a claim shows that a monitor has reported.
    package var hasEvidence = false

    package init(name: String) {
        self.name = name
    }

    /// The prefix of the Leases of controllers.
    package static let leasePrefix = "external-health-monitor-leader-"
    /// A holder renews its Lease every few seconds. Beyond that, this machine's clock may be ahead of the cluster's.
    private static let toleratedLeaseAge: Int64 = 300

    package var unhealthy: Int {
        byStatus.reduce(0) { $0 + ($1.key.isUnhealthy ? $1.value : 0) }
    }

    /// nil: unknown, because this user may not list Leases and nothing was reported.
    package var isMonitored: Bool? {
        hasEvidence ? true : isLeaseRenewed
    }

    mutating func add(_ row: VolumeHealthRow, _ claim: ListedClaim?) {
        claims += 1
        byStatus[row.status, default: 0] += 1
        if claim?.hasEvidence == true { hasEvidence = true }
    }

    /// Whether a Lease has a holder that renews it.
    static func isRenewed(_ lease: Lease, now: Int64) -> Bool {
        lease.metadata.name.hasPrefix(leasePrefix) && !lease.spec.holderIdentity.isEmpty
            && now - lease.spec.renewTime.seconds <= max(toleratedLeaseAge, Int64(lease.spec.leaseDurationSeconds))
    }
}
