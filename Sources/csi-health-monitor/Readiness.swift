// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import ControllerMonitor
import Flags
import HTTPEndpoint
import HealthRuntime

/// Whether this replica is able to report, check by check, for `/readyz`, the log and the metrics.
struct Readiness: Sendable {
    /// Whether the driver has been identified since the process started.
    var isDriverIdentified: Bool
    /// The driver does not respond to Identity calls.
    var driver: ReadinessFailure?
    /// The time since the process started.
    var uptime: Duration?
    /// nil before the driver is identified.
    var monitor: MonitorStatus?
    /// How long the driver has had the problem that `monitor` shows.
    var driverProblemAge: Duration?
    /// The API server responds to no request, or with 401.
    var apiServer: ReadinessFailure?
    /// Missing RBAC rules that reports need, as they are written in a Role, and for how long they have been missing.
    var missingRules: [String: Duration]
    /// Missing RBAC rules that no report needs.
    var missingOptionalRules: Set<String> = []
    /// Why the Lease is neither renewed nor could be acquired.
    var leaseProblem: ReadinessFailure?
    /// Whether this replica holds the Lease; nil without leader election, and before the driver is identified, whose name
    /// the Lease has.
    var leaseHolder: Bool?

    /// All checks, in a fixed order.
    var checks: [HealthChecks.Result] {
        [
            HealthChecks.Result(name: "driver-connected", failure: driverFailure),
            HealthChecks.Result(name: "driver-supported", failure: supportFailure),
            ReadinessChecks.apiServer(apiServer),
            HealthChecks.Result(name: "watches", note: standbyNote(of: monitor?.watches), failure: watchFailure),
            ReadinessChecks.permissions(missing: missingRules, optional: missingOptionalRules),
            HealthChecks.Result(
                name: "last-sweep",
                note: monitor?.isLeading == true ? nil : "not leading",
                failure: sweepFailure
            ),
            HealthChecks.Result(name: "lease", note: leaseNote, failure: leaseFailure),
        ]
    }

    /// Whether all checks are ok.
    var isReady: Bool { checks.allSatisfy { $0.failure == nil } }

    private var driverFailure: HealthChecks.Failure? {
        if let failure = driver ?? monitor?.driver.map({ ReadinessFailure(age: $0.age, reason: $0.reason) }) {
            return .init(age: failure.age, reason: failure.reason)
        }
        return isDriverIdentified ? nil : .init(age: uptime, reason: "the CSI driver has not been identified yet")
    }

    private var supportFailure: HealthChecks.Failure? {
        monitor?.driverProblem.map {
            .init(age: driverProblemAge, reason: $0.split(separator: "\n").joined(separator: "; "))
        }
    }

    private var watchFailure: HealthChecks.Failure? {
        guard let monitor else { return nil }
        return monitor.watches.lazy.compactMap { watch in
            ReadinessChecks.watch(
                watch.resource,
                silence: watch.silence,
                failure: watch.failure.map { ReadinessFailure(age: $0.age, reason: $0.reason) },
                age: monitor.termAge
            )
        }.first
    }

    private var sweepFailure: HealthChecks.Failure? {
        guard let monitor, monitor.isLeading, let term = monitor.termAge else { return nil }
        let age = monitor.sweepAge ?? term
        if let calls = monitor.calls {
            return .init(age: calls.age, reason: calls.reason)
        }
        guard age > monitor.sweepInterval * 2 else { return nil }
        return .init(age: age, reason: "no complete sweep in two intervals of \(GoDuration(monitor.sweepInterval))")
    }

    private var leaseFailure: HealthChecks.Failure? {
        leaseProblem.map { .init(age: $0.age, reason: $0.reason.split(separator: "\n").joined(separator: "; ")) }
    }

    private var leaseNote: String? {
        leaseHolder.map { $0 ? "leader" : "standby" } ?? (isDriverIdentified ? "without leader election" : nil)
    }

    private func standbyNote(of watches: [MonitorStatus.Watch]?) -> String? {
        watches?.isEmpty == true ? "standby without caches" : nil
    }
}
