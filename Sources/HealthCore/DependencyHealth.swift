// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// What a replica needs to monitor volumes. Each can fail for this replica alone.
package enum Dependency: String, Sendable, Hashable, CaseIterable {
    /// The CSI driver answers its Identity calls.
    case driver
    /// Lists of volumes succeed, or, where volumes are probed one by one, any probe does.
    case calls
    /// The API server lets PersistentVolumes be watched.
    case volumes
    /// The API server lets PersistentVolumeClaims be watched.
    case claims
}

/// Which dependencies of a replica fail, and since when.
///
/// Pure: time is passed in as a `Duration` since any fixed moment of a monotonic clock.
package struct DependencyHealth: Sendable {
    /// A dependency that fails.
    package struct Failure: Sendable, Hashable {
        /// Which.
        package var dependency: Dependency
        /// When the first attempt that failed began; in a term, not before the term.
        package var since: Duration
        /// When the last one began.
        package var last: Duration
        /// How many attempts in a row have failed.
        package var attempts: Int
        /// The error of the last one.
        package var reason: String
    }

    /// What follows for the lease.
    package enum Verdict: Sendable, Hashable {
        /// Nothing fails, or too little to setHealth anything.
        case keep
        /// A failure becomes too long at this moment unless it ends before.
        case keepUntil(Duration)
        /// A failure has lasted too long: another replica may see more.
        case stepDown(Failure)
    }

    private var failing: [Dependency: Failure] = [:]

    /// Nothing has failed.
    package init() {}

    /// What fails, the one that fails longest first.
    package var failures: [Failure] {
        failing.values.sorted { ($0.since, $0.dependency.rawValue) < ($1.since, $1.dependency.rawValue) }
    }

    /// The failure of this dependency; nil where it works, or was not used yet.
    package func failure(of dependency: Dependency) -> Failure? { failing[dependency] }

    /// An attempt failed.
    ///
    /// - Parameter since: when it began.
    package mutating func failed(_ dependency: Dependency, reason: String, since: Duration) {
        var failure =
            failing[dependency] ?? Failure(dependency: dependency, since: since, last: since, attempts: 0, reason: "")
        failure.last = max(failure.last, since)
        failure.attempts += 1
        failure.reason = reason
        failing[dependency] = failure
    }

    /// An attempt succeeded. Returns whether the one before had failed.
    @discardableResult
    package mutating func succeeded(_ dependency: Dependency) -> Bool {
        failing.removeValue(forKey: dependency) != nil
    }

    /// A term begins: what failed before has to fail in it as long as anything else.
    package mutating func beginTerm(at now: Duration) {
        for dependency in failing.keys {
            failing[dependency]?.since = now
            failing[dependency]?.attempts = 0
        }
    }

    /// Whether to give the lease back.
    ///
    /// One attempt is never enough, however long ago it was.
    ///
    /// - Parameters:
    ///   - timeout: how long a dependency may fail.
    ///   - callsTimeout: the same for ``Dependency/calls``; nil: `timeout`.
    package func verdict(timeout: Duration, callsTimeout: Duration? = nil, at now: Duration) -> Verdict {
        func end(_ failure: Failure) -> Duration {
            failure.since + (failure.dependency == .calls ? callsTimeout ?? timeout : timeout)
        }
        let conclusive = failures.filter { $0.attempts >= 2 }
        guard let first = conclusive.min(by: { end($0) < end($1) }) else { return .keep }
        return now < end(first) ? .keepUntil(end(first)) : .stepDown(first)
    }
}
