// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Synchronization

/// Health checks by the path under which they are served. All functions may be called concurrently.
package final class HealthChecks: Sendable {
    /// Returns the problem, or nil when healthy. It must not block.
    package typealias Check = @Sendable () -> String?

    /// The HTTP status of a check that returns a problem.
    package enum Severity: Sendable {
        /// 500: a kubelet's probe fails.
        case failure
        /// 200: the problem is shown to operators, but a restart would not fix it.
        case information
    }

    /// The result of a named check.
    package struct Result: Sendable {
        package var name: String
        /// Shown when the check is ok.
        package var note: String?
        /// nil: ok.
        package var failure: Failure?

        package init(name: String, note: String? = nil, failure: Failure?) {
            self.name = name
            self.note = note
            self.failure = failure
        }
    }

    /// Why a named check fails.
    package struct Failure: Sendable, Equatable {
        /// How long the check has failed, if known.
        package var age: Duration?
        /// One line.
        package var reason: String

        package init(age: Duration? = nil, reason: String) {
            self.age = age
            self.reason = reason
        }
    }

    /// Runs named checks. It must not block.
    package typealias NamedChecks = @Sendable () -> [Result]

    struct Registration: Sendable {
        var severity: Severity
        var check: Check
    }

    private let checks = Mutex<[String: Registration]>([:])
    private let named = Mutex<[String: NamedChecks]>([:])

    package init() {}

    /// Serves a check under `path`. A path may be registered once.
    package func register(path: String, severity: Severity = .failure, _ check: @escaping Check) {
        let registration = Registration(severity: severity, check: check)
        let previous = checks.withLock { $0.updateValue(registration, forKey: path) }
        precondition(previous == nil, "duplicate health check \(path)")
    }

    /// Serves named checks under `path`, as kube-apiserver's `/readyz`: 200 when all are ok, otherwise 503. A path may
    /// be registered once.
    package func register(path: String, named checks: @escaping NamedChecks) {
        let previous = named.withLock { $0.updateValue(checks, forKey: path) }
        precondition(previous == nil, "duplicate health checks \(path)")
    }

    /// The registered paths in no particular order.
    package var paths: [String] { checks.withLock { Array($0.keys) } + named.withLock { Array($0.keys) } }

    func namedChecks(at path: String) -> NamedChecks? { named.withLock { $0[path] } }

    func check(at path: String) -> Registration? {
        checks.withLock { $0[path] }
    }
}
