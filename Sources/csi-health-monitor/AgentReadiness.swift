// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HTTPEndpoint
import NodeMonitor

/// Whether the agent is able to report, check by check, for `/readyz`, the log and the metrics.
struct AgentReadiness: Sendable {
    /// nil before the monitor was created.
    var monitor: NodeMonitorStatus?
    /// The API server responds to no request, or with 401.
    var apiServer: ReadinessFailure?
    /// Missing RBAC rules, as they are written in a Role, and for how long they have been missing.
    var missingRules: [String: Duration] = [:]

    /// All checks, in a fixed order.
    var checks: [HealthChecks.Result] {
        [
            drivers,
            ReadinessChecks.apiServer(apiServer),
            HealthChecks.Result(name: "pods", failure: podFailure),
            ReadinessChecks.permissions(missing: missingRules),
        ]
    }

    /// Whether all checks are ok.
    var isReady: Bool { checks.allSatisfy { $0.failure == nil } }

    /// Fails when no driver can be monitored. One driver of several that fails concerns that driver: it is a note, as
    /// are drivers that report no health. So is a driver whose calls hang: its storage is at fault, not the agent.
    private var drivers: HealthChecks.Result {
        let name = "drivers"
        guard let monitor else {
            return HealthChecks.Result(name: name, failure: .init(reason: "the monitor has not started yet"))
        }
        if let problem = monitor.discoveryProblem {
            return HealthChecks.Result(name: name, failure: .init(reason: problem))
        }
        let failing = monitor.drivers.filter { !$0.problems.isEmpty }
        let text = failing.map { "\($0.displayName): \($0.problems.joined(separator: "; "))" }.joined(separator: ", ")
        let reporting = monitor.drivers.filter { $0.isSupported != false }
        func isUnusable(_ driver: NodeMonitorStatus.Driver) -> Bool {
            driver.problem != nil || driver.failure.map { $0.age >= ReadinessChecks.tolerance } ?? false
        }
        guard !reporting.isEmpty, reporting.allSatisfy(isUnusable) else {
            let note = monitor.drivers.isEmpty ? "no CSI driver was found" : failing.isEmpty ? nil : text
            return HealthChecks.Result(name: name, note: note, failure: nil)
        }
        let age = reporting.compactMap { $0.failure?.age }.min()
        return HealthChecks.Result(name: name, failure: .init(age: age, reason: text))
    }

    private var podFailure: HealthChecks.Failure? {
        guard let watch = monitor?.watch else { return nil }
        return ReadinessChecks.watch(
            "pods",
            silence: watch.silence,
            failure: watch.failure.map { ReadinessFailure(age: $0.age, reason: $0.reason) },
            age: nil
        )
    }
}
