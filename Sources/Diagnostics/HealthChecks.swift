// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Synchronization

/// Health checks by the path under which they are served.
public final class HealthChecks: Sendable {
    /// Tells what is wrong, nil when nothing is. It answers from memory and never blocks.
    public typealias Check = @Sendable () -> String?

    /// Whether what is wrong makes the check fail.
    public enum Severity: Sendable {
        /// A probe of the kubelet may act on it: 500.
        case failure
        /// For people; it is nothing that a restart would mend: 200.
        case information
    }

    struct Registration: Sendable {
        var severity: Severity
        var check: Check
    }

    /// Where external-health-monitor serves the health of its leader election, which probes in manifests ask for.
    public static let leaderElectionPath = "/healthz/leader-election"
    /// What the CSI driver lacks, if anything.
    public static let driverPath = "/healthz/driver"

    private let checks = Mutex<[String: Registration]>([:])

    /// No checks.
    public init() {}

    /// Serves a check under `path`. A path may be used once.
    public func register(path: String, severity: Severity = .failure, _ check: @escaping Check) {
        let registration = Registration(severity: severity, check: check)
        let previous = checks.withLock { $0.updateValue(registration, forKey: path) }
        precondition(previous == nil, "two health checks have the path \(path)")
    }

    func check(at path: String) -> Registration? {
        checks.withLock { $0[path] }
    }
}
