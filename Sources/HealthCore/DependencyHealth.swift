// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// What a replica needs to monitor volumes. Each can fail for this replica while it works for another.
package enum Dependency: String, Sendable, Hashable, CaseIterable {
    /// The CSI driver responds to Identity calls.
    case driver
    /// Lists of volumes succeed; where volumes are probed one by one, any probe succeeds.
    case calls
    /// The API server allows this replica to watch PersistentVolumes.
    case volumes
    /// The API server allows this replica to watch PersistentVolumeClaims.
    case claims
}

/// The dependencies of a replica that fail, and since when.
///
/// Pure: time is passed in as a `Duration` since any fixed moment of a monotonic clock.
package struct DependencyHealth: Sendable {
    /// A dependency that fails.
    package struct Failure: Sendable, Hashable {
        package var dependency: Dependency
        /// When the first failed attempt began; in a term, not before the term's beginning.
        package var since: Duration
        /// When the last failed attempt began.
        package var last: Duration
        /// How many attempts in a row have failed.
        package var attempts: Int
        /// The error of the last attempt.
        package var reason: String
    }

    /// What the failures mean for the lease.
    package enum Verdict: Sendable, Hashable {
        /// Keep the lease: no dependency fails, or none has failed twice in a row.
        case keep
        /// Keep the lease until this moment, when a failure will have lasted too long.
        case keepUntil(Duration)
        /// Release the lease: a failure has lasted too long, and another replica may do better.
        case stepDown(Failure)
    }

    private var failing: [Dependency: Failure] = [:]

    /// No dependency has failed.
    package init() {}

    /// The dependencies that fail, the longest failure first.
    package var failures: [Failure] {
        failing.values.sorted { ($0.since, $0.dependency.rawValue) < ($1.since, $1.dependency.rawValue) }
    }

    /// The failure of this dependency; nil when it works or was not used yet.
    package func failure(of dependency: Dependency) -> Failure? { failing[dependency] }

    /// An attempt failed.
    ///
    /// - Parameter since: when the attempt began.
    package mutating func failed(_ dependency: Dependency, reason: String, since: Duration) {
        var failure =
            failing[dependency] ?? Failure(dependency: dependency, since: since, last: since, attempts: 0, reason: "")
        failure.last = max(failure.last, since)
        failure.attempts += 1
        failure.reason = reason
        failing[dependency] = failure
    }

    /// An attempt succeeded. Returns whether the previous one had failed.
    @discardableResult
    package mutating func succeeded(_ dependency: Dependency) -> Bool {
        failing.removeValue(forKey: dependency) != nil
    }

    /// A term begins: only failures within the term count against it.
    package mutating func beginTerm(at now: Duration) {
        for dependency in failing.keys {
            failing[dependency]?.since = now
            failing[dependency]?.attempts = 0
        }
    }

    /// Whether to release the lease.
    ///
    /// A single failed attempt is never enough, however long ago it was.
    ///
    /// - Parameters:
    ///   - timeout: how long a dependency may fail.
    ///   - callsTimeout: how long ``Dependency/calls`` may fail; nil: `timeout`.
    package func verdict(timeout: Duration, callsTimeout: Duration? = nil, at now: Duration) -> Verdict {
        func end(_ failure: Failure) -> Duration {
            failure.since + (failure.dependency == .calls ? callsTimeout ?? timeout : timeout)
        }
        let conclusive = failures.filter { $0.attempts >= 2 }
        guard let first = conclusive.min(by: { end($0) < end($1) }) else { return .keep }
        return now < end(first) ? .keepUntil(end(first)) : .stepDown(first)
    }
}
