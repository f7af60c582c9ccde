// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Synchronization

/// Health checks by the path under which they are served.
public final class HealthChecks: Sendable {
    /// Tells what is wrong, nil when nothing is. It answers from memory and never blocks.
    public typealias Check = @Sendable () -> String?

    /// Where external-health-monitor serves the health of its leader election, which probes in manifests ask for.
    public static let leaderElectionPath = "/healthz/leader-election"

    private let checks = Mutex<[String: Check]>([:])

    /// No checks.
    public init() {}

    /// Serves a check under `path`. A path may be used once.
    public func register(path: String, _ check: @escaping Check) {
        let previous = checks.withLock { $0.updateValue(check, forKey: path) }
        precondition(previous == nil, "two health checks have the path \(path)")
    }

    func check(at path: String) -> Check? {
        checks.withLock { $0[path] }
    }
}
