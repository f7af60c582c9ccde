// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Synchronization

/// Whether leader election works, as its health path tells it.
///
/// A standby is healthy, and so is a leader that renews. A leader whose last renewal is older than the lease duration
/// plus a grace period should long have stepped down: something hangs, and the kubelet had better restart it.
/// Source: client-go, `HealthzAdaptor`.
public final class LeaderElectionHealth: Sendable {
    private let limit: Duration
    private let renewedAt = Mutex<Duration?>(nil)

    /// Tolerates a leader's silence for `leaseDuration + gracePeriod`.
    public init(leaseDuration: Duration, gracePeriod: Duration = .seconds(20)) {
        limit = leaseDuration + gracePeriod
    }

    /// Whether this process leads.
    public var isLeader: Bool {
        renewedAt.withLock { $0 != nil }
    }

    /// nil when all is well, else what is wrong. `now` is on the elector's clock.
    public func failure(at now: Duration) -> String? {
        renewedAt.withLock { renewedAt in
            guard let renewedAt, now - renewedAt > limit else { return nil }
            return "failed election to renew leadership on lease: last renewal \(now - renewedAt) ago, limit \(limit)"
        }
    }

    func leads(since renewal: Duration?) {
        renewedAt.withLock { $0 = renewal }
    }
}
