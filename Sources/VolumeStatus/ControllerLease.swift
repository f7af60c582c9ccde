// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthCore
import KubernetesAPI

/// What the Leases of a driver show of its controllers.
package enum ControllerLease: Sendable, Hashable {
    /// There is no Lease: no controller has run with leader election.
    case absent
    case renewed
    /// There is a Lease, but no holder renews it.
    ///
    /// - age: the seconds since the last renewal; nil: it was never renewed.
    case lapsed(name: String, age: Int64?)

    /// The prefix of the Leases of controllers.
    package static let namePrefix = "external-health-monitor-leader-"
    /// A holder renews its Lease every few seconds. Beyond that, this machine's clock may be ahead of the cluster's.
    private static let toleratedAge: Int64 = 300

    /// - Parameters:
    ///   - leases: of one driver: one, or one for each node.
    ///   - now: in seconds since 1970.
    init(_ leases: [Lease], now: Int64) {
        // Of several the one that was renewed last; of equals, the result does not depend on an order.
        let last = leases.max {
            ($0.spec.renewTime.seconds, $0.metadata.name) < ($1.spec.renewTime.seconds, $1.metadata.name)
        }
        guard let last else {
            self = .absent
            return
        }
        if leases.contains(where: { Self.isRenewed($0, now: now) }) {
            self = .renewed
        } else {
            let renewed = last.spec.renewTime.seconds
            let age: Int64? = renewed == 0 ? nil : max(0, ageInSeconds(of: renewed, now: now))
            self = .lapsed(name: last.metadata.name, age: age)
        }
    }

    /// Whether a Lease has a holder that renews it.
    static func isRenewed(_ lease: Lease, now: Int64) -> Bool {
        lease.metadata.name.hasPrefix(namePrefix) && !lease.spec.holderIdentity.isEmpty
            && ageInSeconds(of: lease.spec.renewTime.seconds, now: now)
                <= max(toleratedAge, Int64(lease.spec.leaseDurationSeconds))
    }

    /// What is wrong with a Lease that has lapsed: `the Lease NAME was last renewed 21d ago`; nil for another one.
    var lapse: String? {
        guard case .lapsed(let name, let seconds) = self else { return nil }
        guard let seconds else { return "the Lease \(name) was never renewed" }
        return "the Lease \(name) was last renewed \(age(seconds)) ago"
    }
}
