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
    /// A dependency failed, or works again.
    let changed = WakeUp()

    /// The longest failure first.
    var failures: [DependencyHealth.Failure] { health.withLock { $0.failures } }

    func failure(of dependency: Dependency) -> DependencyHealth.Failure? {
        health.withLock { $0.failure(of: dependency) }
    }

    func verdict(timeout: Duration, callsTimeout: Duration, at now: Duration) -> DependencyHealth.Verdict {
        health.withLock { $0.verdict(timeout: timeout, callsTimeout: callsTimeout, at: now) }
    }

    func beginTerm(at now: Duration) { health.withLock { $0.beginTerm(at: now) } }

    func failed(_ dependency: Dependency, reason: String, since: Duration) {
        health.withLock { $0.failed(dependency, reason: reason, since: since) }
        changed.signal()
    }

    func succeeded(_ dependency: Dependency) {
        if health.withLock({ $0.succeeded(dependency) }) { changed.signal() }
    }

    /// A watch has failed. Only a refusal counts: an API server that is unavailable is so for other replicas too.
    func watchFailed(_ dependency: Dependency, _ error: KubernetesError, at now: Duration) {
        if [.forbidden, .unauthorized].contains(error.code) { failed(dependency, reason: "\(error)", since: now) }
    }
}
