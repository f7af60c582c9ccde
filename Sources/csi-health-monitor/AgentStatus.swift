// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HTTPEndpoint
import Logging
import NodeCore
import NodeMonitor
import Synchronization

/// What the agent's parts know of themselves, for metrics, health checks and the log.
final class AgentStatus: Sendable {
    /// nil before it was created.
    private let monitor = Mutex<NodeMonitor?>(nil)
    let requests = RequestHealth()

    func set(_ monitor: NodeMonitor) { self.monitor.withLock { $0 = monitor } }

    /// Whether this agent is able to report, check by check.
    func readiness() -> AgentReadiness {
        let now = ContinuousClock.now
        return AgentReadiness(
            monitor: monitor.withLock { $0 }?.status(),
            apiServer: requests.failure(at: now),
            missingRules: requests.missingRules(at: now)
        )
    }

    /// Whether reports reach the API server, for the log only, as in ``ControllerStatus``.
    func reportChecks() -> [HealthChecks.Result] {
        monitor.withLock { $0 }.map { [ReadinessChecks.reports($0.reportFailure())] } ?? []
    }

    /// The values for a scrape.
    func snapshot() -> AgentSnapshot {
        let readiness = readiness()
        return AgentSnapshot(
            isUp: readiness.isReady,
            watchSilence: readiness.monitor?.watch.silence,
            rules: requests.rules,
            drivers: readiness.monitor?.drivers ?? [],
            health: monitor.withLock { $0 }?.snapshot()
        )
    }

    /// The health of volumes and drivers, and the time on its clock; nil before the monitor was created.
    func health() -> (snapshot: NodeHealthSnapshot, time: Duration)? {
        monitor.withLock { $0 }.map { ($0.snapshot(), $0.now) }
    }

    /// The metadata of the hourly log line.
    func summary() -> Logger.Metadata {
        guard let monitor = monitor.withLock({ $0 }) else { return [:] }
        let snapshot = monitor.snapshot()
        let counts = snapshot.drivers.map(\.counts)
        return [
            "drivers": .stringConvertible(monitor.status().drivers.count),
            "pods": .stringConvertible(snapshot.pods),
            "healthy": .stringConvertible(counts.map(\.healthy).reduce(0, +)),
            "unhealthy": .stringConvertible(counts.map(\.unhealthy).reduce(0, +)),
            "unknown": .stringConvertible(counts.map { $0.unknown + $0.waiting }.reduce(0, +)),
            "unanswered": .stringConvertible(snapshot.unresponsive.count),
        ]
    }

    /// One line for each driver, in words.
    func driversPage() -> String? {
        guard let monitor = monitor.withLock({ $0 }) else { return "the monitor has not started yet" }
        return DriversPage(status: monitor.status(), health: monitor.snapshot()).text
    }
}
