// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Synchronization

/// Whether leader election works, as its health path reports it.
///
/// A standby is healthy, and so is a leader that renews. A leader whose last renewal is older than the lease duration
/// plus a grace period should long have stepped down: something hangs, and the kubelet had better restart it.
/// Source: client-go, `HealthzAdaptor`.
package final class LeaderElectionHealth<C: Clock>: Sendable where C.Duration == Duration, C.Instant: Sendable {
    private let limit: Duration
    private let clock: C
    private let renewedAt = Mutex<C.Instant?>(nil)

    /// Tolerates a leader's silence for `leaseDuration + gracePeriod`, measured by `clock`.
    package init(leaseDuration: Duration, gracePeriod: Duration = .seconds(20), clock: C) {
        limit = leaseDuration + gracePeriod
        self.clock = clock
    }

    /// Whether this process leads.
    package var isLeader: Bool {
        renewedAt.withLock { $0 != nil }
    }

    /// nil when all is well, else what is wrong.
    package func failure() -> String? {
        guard let renewedAt = renewedAt.withLock({ $0 }) else { return nil }
        let silence = renewedAt.duration(to: clock.now)
        guard silence > limit else { return nil }
        return "failed election to renew leadership on lease: last renewal \(silence) ago, limit \(limit)"
    }

    /// When the last renewal was sent; nil: this process does not lead.
    var lastRenewal: C.Instant? { renewedAt.withLock { $0 } }

    /// The last renewal; nil: we do not lead.
    func leads(since renewal: C.Instant?) {
        renewedAt.withLock { $0 = renewal }
    }
}
