// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Synchronization

/// Health checks by the path under which they are served.
package final class HealthChecks: Sendable {
    /// Reports what is wrong, nil when nothing is. It answers from memory and never blocks.
    package typealias Check = @Sendable () -> String?

    /// Whether what is wrong makes the check fail.
    package enum Severity: Sendable {
        /// A probe of the kubelet may act on it: 500.
        case failure
        /// For people; it is nothing that a restart would mend: 200.
        case information
    }

    /// What a named check found.
    package struct Result: Sendable {
        /// `driver-connected`
        package var name: String
        /// What else there is to say where it is ok.
        package var note: String?
        /// nil: ok.
        package var failure: Failure?

        /// A result.
        package init(name: String, note: String? = nil, failure: Failure?) {
            self.name = name
            self.note = note
            self.failure = failure
        }
    }

    /// Why a named check fails.
    package struct Failure: Sendable, Equatable {
        /// For how long; nil where that is not known.
        package var age: Duration?
        /// One line.
        package var reason: String

        /// A failure.
        package init(age: Duration? = nil, reason: String) {
            self.age = age
            self.reason = reason
        }
    }

    /// Runs all named checks. It answers from memory and never blocks.
    package typealias NamedChecks = @Sendable () -> [Result]

    struct Registration: Sendable {
        var severity: Severity
        var check: Check
    }

    /// Where external-health-monitor serves the health of its leader election, which probes in manifests ask for.
    package static let leaderElectionPath = "/healthz/leader-election"
    /// What the CSI driver lacks, if anything.
    package static let driverPath = "/healthz/driver"

    /// Where named checks are served, as kube-apiserver's.
    package static let readinessPath = "/readyz"
    /// Whether the process runs at all.
    package static let livenessPath = "/livez"

    private let checks = Mutex<[String: Registration]>([:])
    private let named = Mutex<[String: NamedChecks]>([:])

    /// No checks.
    package init() {}

    /// Serves a check under `path`. A path may be used once.
    package func register(path: String, severity: Severity = .failure, _ check: @escaping Check) {
        let registration = Registration(severity: severity, check: check)
        let previous = checks.withLock { $0.updateValue(registration, forKey: path) }
        precondition(previous == nil, "two health checks have the path \(path)")
    }

    /// Serves named checks under `path`: 200 when all are ok, otherwise 503. A path may be used once.
    package func register(path: String, named checks: @escaping NamedChecks) {
        let previous = named.withLock { $0.updateValue(checks, forKey: path) }
        precondition(previous == nil, "two groups of health checks have the path \(path)")
    }

    func namedChecks(at path: String) -> NamedChecks? { named.withLock { $0[path] } }

    func check(at path: String) -> Registration? {
        checks.withLock { $0[path] }
    }
}
