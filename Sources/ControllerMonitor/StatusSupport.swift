// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthCore
import Synchronization

/// Remembers which findings on `status.healthStatus` were logged: each is logged once per process.
final class StatusSupport: Sendable {
    private let seen = Mutex<Set<Bool>>([])

    /// Whether this finding is new.
    func isFirst(keepsStatus: Bool) -> Bool { seen.withLock { $0.insert(keepsStatus).inserted } }
}

/// When to check again whether the API server keeps `status.healthStatus`: soon at first, because an API server that
/// has just started may not know its features, then less often, at last every ten minutes, and whenever its version
/// changes. A server that is found to keep it now and then is not checked sooner: each finding costs a write per claim.
struct SupportReview: Sendable {
    /// How often the version is read.
    static let versionInterval = Duration.seconds(60)
    private static let backoff = Backoff(initial: .seconds(1), maximum: .seconds(600))

    private var version: String?
    private var nextVersion: Duration?
    private var trials = 0
    private var nextTrial: Duration?

    /// Nothing is checked until ``pause(at:)``.
    mutating func suspend() { nextTrial = nil }

    /// How long to wait until something is due.
    mutating func pause(at now: Duration) -> Duration {
        let trial = nextTrial ?? now + Self.backoff.delay(afterFailures: trials + 1)
        nextTrial = trial
        return max(min(trial, nextVersion ?? trial) - now, .zero)
    }

    /// Whether to read the version now.
    mutating func isVersionDue(at now: Duration) -> Bool {
        guard nextVersion.map({ now >= $0 }) ?? true else { return false }
        nextVersion = now + Self.versionInterval
        return true
    }

    /// The API server has this version.
    mutating func observe(serverVersion: String, at now: Duration) {
        if version != nil, version != serverVersion { (trials, nextTrial) = (0, now) }
        version = serverVersion
    }

    /// Whether to check now.
    mutating func isTrialDue(at now: Duration) -> Bool {
        guard let nextTrial, now >= nextTrial else { return false }
        trials += 1
        self.nextTrial = now + Self.backoff.delay(afterFailures: trials + 1)
        return true
    }
}
