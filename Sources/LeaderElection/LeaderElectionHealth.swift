// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import KubernetesClient
import Synchronization

/// The health check of leader election.
///
/// A standby is healthy, and so is a leader that renews. A leader whose last renewal is older than the lease duration
/// plus a grace period should have stopped long ago: something hangs, and the kubelet should restart the container.
/// Source: client-go, `HealthzAdaptor`.
package final class LeaderElectionHealth: Sendable {
    private let limit: Duration
    private let now: @Sendable () -> Duration
    /// When the last renewal was sent; nil while this process does not lead.
    let lastRenewal = Mutex<Duration?>(nil)

    /// Fails when the last renewal of a leader is more than `leaseDuration + gracePeriod` ago.
    package init(
        leaseDuration: Duration,
        gracePeriod: Duration = .seconds(20),
        clock: any Clock<Duration> = ContinuousClock()
    ) {
        limit = leaseDuration + gracePeriod
        now = clock.elapsedTime()
    }

    /// Why the check fails, in client-go's words; nil while it passes.
    package func failure() -> String? {
        guard let lastRenewal = lastRenewal.withLock({ $0 }) else { return nil }
        let age = now() - lastRenewal
        guard age > limit else { return nil }
        return "failed election to renew leadership on lease: last renewal \(age) ago, limit \(limit)"
    }

    /// This process leads; its last renewal was sent `age` ago.
    func renewed(ago age: Duration) {
        let sent = now() - age
        lastRenewal.withLock { $0 = sent }
    }

    /// This process does not lead any more.
    func stoppedLeading() {
        lastRenewal.withLock { $0 = nil }
    }
}
