// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import ControllerMonitor
import Diagnostics
import HealthRuntime

/// Whether this replica can report, check by check, in the words of `/readyz`, the log and the metrics.
struct Readiness: Sendable {
    /// Something that fails.
    struct Failure: Sendable, Hashable {
        var age: Duration
        var reason: String
    }

    /// How long a watch may be silent. With bookmarks it is not for much more than a minute (k8s.io/apiserver,
    /// pkg/storage/cacher/cacher.go, `defaultBookmarkFrequency`); without, for 10 minutes, after which it is opened anew.
    static let silenceLimit = Duration.seconds(660)
    /// How long a failure may last before it counts: a watch that is opened again is nothing that anybody has to see.
    static let tolerance = Duration.seconds(10)

    /// The driver was identified since the start.
    var isDriverIdentified: Bool
    /// The driver does not answer its Identity calls.
    var driver: Failure?
    /// nil before the driver was identified.
    var monitor: MonitorStatus?
    /// The API server answers no request, or does not know who we are.
    var apiServer: Failure?
    /// Missing RBAC rules that reports need, as they stand in a Role, and since when they are known to be missing.
    var missingRules: [String: Duration]
    /// Missing RBAC rules without which volumes are reported all the same.
    var missingOptionalRules: Set<String> = []
    /// What is wrong with the leader election; nil when nothing is, and without one.
    var leaseProblem: String?
    /// How the replica takes part in leader election; nil without one.
    var leaseHolder: Bool?

    /// Every check in a fixed order.
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

    /// Whether everything works that is needed for a report.
    var isReady: Bool { checks.allSatisfy { $0.failure == nil } }

    private var driverFailure: HealthChecks.Failure? {
        if let failure = driver ?? monitor?.driver.map({ Failure(age: $0.age, reason: $0.reason) }) {
            return .init(age: failure.age, reason: failure.reason)
        }
        return isDriverIdentified ? nil : .init(reason: "the CSI driver was not identified yet")
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
                return .init(age: silence, reason: "no event and no bookmark of \(watch.resource)")
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
