// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import ControllerMonitor
import HTTPEndpoint
import HealthRuntime

/// Whether this replica is able to report, check by check, for `/readyz`, the log and the metrics.
struct Readiness: Sendable {
    struct Failure: Sendable, Hashable {
        var age: Duration
        var reason: String
    }

    /// How long a watch may be silent. A server that sends bookmarks sends one about every minute (k8s.io/apiserver,
    /// pkg/storage/cacher/cacher.go, `defaultBookmarkFrequency`); without bookmarks a watch is reopened after 10
    /// minutes.
    static let silenceLimit = Duration.seconds(660)
    /// How long a watch or the API server may fail before the check fails, so that reopening a watch does not fail it.
    static let tolerance = Duration.seconds(10)

    /// Whether the driver has been identified since the process started.
    var isDriverIdentified: Bool
    /// The driver does not respond to Identity calls.
    var driver: Failure?
    /// nil before the driver is identified.
    var monitor: MonitorStatus?
    /// The API server responds to no request, or with 401.
    var apiServer: Failure?
    /// Missing RBAC rules that reports need, as they are written in a Role, and for how long they have been missing.
    var missingRules: [String: Duration]
    /// Missing RBAC rules that no report needs.
    var missingOptionalRules: Set<String> = []
    /// The leader election's problem, if any.
    var leaseProblem: String?
    /// Whether this replica holds the Lease; nil without leader election.
    var leaseHolder: Bool?

    /// All checks, in a fixed order.
    var checks: [HealthChecks.Result] {
        [
            HealthChecks.Result(name: "driver-connected", failure: driverFailure),
            HealthChecks.Result(name: "driver-supported", failure: supportFailure),
            HealthChecks.Result(name: "api-server", failure: apiServerFailure),
            HealthChecks.Result(name: "watches", note: standbyNote(of: monitor?.watches), failure: watchFailure),
            HealthChecks.Result(name: "permissions", note: permissionNote, failure: permissionFailure),
            HealthChecks.Result(
                name: "last-sweep",
                note: monitor?.isLeading == true ? nil : "not leading",
                failure: sweepFailure
            ),
            HealthChecks.Result(name: "lease", note: leaseNote, failure: leaseProblem.map { .init(reason: $0) }),
        ]
    }

    /// Whether all checks are ok.
    var isReady: Bool { checks.allSatisfy { $0.failure == nil } }

    private var driverFailure: HealthChecks.Failure? {
        if let failure = driver ?? monitor?.driver.map({ Failure(age: $0.age, reason: $0.reason) }) {
            return .init(age: failure.age, reason: failure.reason)
        }
        return isDriverIdentified ? nil : .init(reason: "the CSI driver has not been identified yet")
    }

    private var supportFailure: HealthChecks.Failure? {
        monitor?.driverProblem.map { .init(reason: $0.split(separator: "\n").joined(separator: "; ")) }
    }

    private var apiServerFailure: HealthChecks.Failure? {
        apiServer.flatMap { $0.age >= Self.tolerance ? .init(age: $0.age, reason: $0.reason) : nil }
    }

    private var watchFailure: HealthChecks.Failure? {
        guard let monitor else { return nil }
        for watch in monitor.watches {
            if let failure = watch.failure, failure.age >= Self.tolerance {
                return .init(age: failure.age, reason: failure.reason)
            }
            guard let silence = watch.silence else {
                return .init(age: monitor.termAge, reason: "the list of \(watch.resource) is not complete")
            }
            if silence > Self.silenceLimit {
                return .init(age: silence, reason: "no event or bookmark of \(watch.resource)")
            }
        }
        return nil
    }

    private var permissionNote: String? {
        missingOptionalRules.isEmpty ? nil : "without \(missingOptionalRules.sorted().joined(separator: ", "))"
    }

    private var permissionFailure: HealthChecks.Failure? {
        guard !missingRules.isEmpty else { return nil }
        let rules = missingRules.keys.sorted().joined(separator: ", ")
        return .init(age: missingRules.values.max(), reason: "missing RBAC rules: \(rules)")
    }

    private var sweepFailure: HealthChecks.Failure? {
        guard let monitor, monitor.isLeading, let term = monitor.termAge else { return nil }
        let age = monitor.sweepAge ?? term
        if let calls = monitor.calls {
            return .init(age: calls.age, reason: calls.reason)
        }
        guard age > monitor.sweepInterval * 2 else { return nil }
        return .init(age: age, reason: "no complete sweep in two intervals of \(monitor.sweepInterval)")
    }

    private var leaseNote: String? {
        leaseHolder.map { $0 ? "leader" : "standby" } ?? "without leader election"
    }

    private func standbyNote(of watches: [MonitorStatus.Watch]?) -> String? {
        watches?.isEmpty == true ? "standby without caches" : nil
    }
}
