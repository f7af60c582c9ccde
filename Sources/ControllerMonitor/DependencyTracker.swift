// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import CSIClient
import HealthCore
import HealthRuntime
import KubernetesClient
import Synchronization

/// The ``DependencyHealth`` of this replica, shared by the tasks that use the dependencies.
final class DependencyTracker: Sendable {
    private let health = Mutex(DependencyHealth())
    /// Signalled when an attempt to use a dependency failed, and when a dependency works again.
    let changed = WakeUp()

    /// The dependencies that fail, the longest failure first.
    var failures: [DependencyHealth.Failure] { health.withLock { $0.failures } }

    func failure(of dependency: Dependency) -> DependencyHealth.Failure? {
        health.withLock { $0.failure(of: dependency) }
    }

    func verdict(timeout: Duration, callsTimeout: Duration, at now: Duration) -> DependencyHealth.Verdict {
        health.withLock { $0.verdict(timeout: timeout, callsTimeout: callsTimeout, at: now) }
    }

    func beginTerm(at now: Duration) { health.withLock { $0.beginTerm(at: now) } }

    /// - Parameter since: when the failed attempt began.
    func failed(_ dependency: Dependency, reason: String, since: Duration) {
        health.withLock { $0.failed(dependency, reason: reason, since: since) }
        changed.signal()
    }

    func succeeded(_ dependency: Dependency) {
        if health.withLock({ $0.succeeded(dependency) }) { changed.signal() }
    }

    /// A watch has failed. Only 401 and 403 count, which may concern this replica alone: an API server that is
    /// unavailable is unavailable for all replicas.
    func watchFailed(_ dependency: Dependency, _ error: KubernetesError, at now: Duration) {
        if [.forbidden, .unauthorized].contains(error.code) { failed(dependency, reason: "\(error)", since: now) }
    }
}
