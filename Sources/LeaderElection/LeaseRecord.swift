// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import KubernetesAPI

/// The holder of a Lease, and when it acquired and renewed it.
///
/// Source: client-go, `LeaderElectionRecord`; k8s.io/api, coordination/v1 `LeaseSpec`.
struct LeaseRecord: Sendable, Hashable {
    /// Empty after a release.
    var holderIdentity: String
    var leaseDurationSeconds: Int32
    /// The holder's wall clock. This time and `renewTime` are informational: they are never compared with a local
    /// clock, because the clocks of two machines differ.
    var acquireTime: Time
    var renewTime: Time
    var leaseTransitions: Int32
}

extension LeaseRecord {
    init(_ spec: LeaseSpec) {
        self.init(
            holderIdentity: spec.holderIdentity,
            leaseDurationSeconds: spec.leaseDurationSeconds,
            acquireTime: spec.acquireTime,
            renewTime: spec.renewTime,
            leaseTransitions: spec.leaseTransitions
        )
    }

    /// Writes the record into a spec, and leaves the spec's other fields as they are.
    func write(to spec: inout LeaseSpec) {
        spec.holderIdentity = holderIdentity
        spec.leaseDurationSeconds = leaseDurationSeconds
        spec.acquireTime = acquireTime
        spec.renewTime = renewTime
        spec.leaseTransitions = leaseTransitions
    }
}
