// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import KubernetesClient
import Synchronization

/// The health of leader election: a check for the liveness probe, and one for the readiness probe.
package final class LeaderElectionHealth: Sendable {
    /// Why this process neither renews the Lease nor could acquire it.
    package struct Problem: Sendable, Hashable {
        /// Since the last renewal, or since the first of the attempts to acquire that have all failed.
        package var age: Duration
        package var reason: String
    }

    private let leaseDuration: Duration
    private let gracePeriod: Duration
    private let now: @Sendable () -> Duration
    /// When the last renewal was sent; nil while this process does not lead.
    let lastRenewal = Mutex<Duration?>(nil)
    /// When the first of the failed attempts to acquire ended, and the last one's error; nil after a success.
    private let failedAttempts = Mutex<(since: Duration, error: String)?>(nil)

    package init(
        leaseDuration: Duration,
        gracePeriod: Duration = .seconds(20),
        clock: any Clock<Duration> = ContinuousClock()
    ) {
        self.leaseDuration = leaseDuration
        self.gracePeriod = gracePeriod
        now = clock.elapsedTime()
    }

    /// Why the check for the liveness probe fails, in client-go's words; nil while it passes.
    ///
    /// A standby passes, and so does a leader that renews. A leader whose last renewal is more than `leaseDuration +
    /// gracePeriod` ago should have stopped long ago: something hangs, and the kubelet should restart the container.
    /// Source: client-go, `HealthzAdaptor`.
    package func failure() -> String? { renewalProblem()?.reason }

    /// Why the check for the readiness probe fails; nil while it passes.
    ///
    /// As ``failure()``, and it fails too while all attempts to read or to write the Lease have failed for a lease
    /// duration: if that is so for all replicas, none leads, and a restart would not help.
    package func problem() -> Problem? {
        if let problem = renewalProblem() { return problem }
        guard let failed = failedAttempts.withLock({ $0 }) else { return nil }
        let age = now() - failed.since
        guard age >= leaseDuration else { return nil }
        return Problem(age: age, reason: "failed to acquire lease: \(failed.error)")
    }

    private func renewalProblem() -> Problem? {
        guard let lastRenewal = lastRenewal.withLock({ $0 }) else { return nil }
        let age = now() - lastRenewal
        let limit = leaseDuration + gracePeriod
        guard age > limit else { return nil }
        return Problem(
            age: age,
            reason: "failed election to renew leadership on lease: last renewal \(age) ago, limit \(limit)"
        )
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

    /// A candidate acquired the Lease, or read that another one holds it.
    func attemptSucceeded() {
        failedAttempts.withLock { $0 = nil }
    }

    /// A candidate failed to read or to write the Lease.
    func attemptFailed(_ error: String) {
        let time = now()
        failedAttempts.withLock { $0 = (since: $0?.since ?? time, error: error) }
    }
}
