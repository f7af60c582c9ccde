// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// What a replica needs to see how volumes are. Each is one thing that can fail for this replica alone.
package enum Sense: String, Sendable, Hashable, CaseIterable {
    /// The CSI driver answers its Identity calls.
    case driver
    /// Lists of volumes succeed, or, where volumes are probed one by one, any probe does.
    case calls
    /// The API server lets PersistentVolumes be watched.
    case volumes
    /// The API server lets PersistentVolumeClaims be watched.
    case claims
}

/// Which of a replica's senses fail, and since when.
///
/// Pure: time is passed in as a `Duration` since any fixed moment of a monotonic clock.
package struct Sight: Sendable {
    /// A sense that fails.
    package struct Failure: Sendable, Hashable {
        /// Which.
        package var sense: Sense
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

    private var failing: [Sense: Failure] = [:]

    /// Nothing has failed.
    package init() {}

    /// What fails, the one that fails longest first.
    package var failures: [Failure] {
        failing.values.sorted { ($0.since, $0.sense.rawValue) < ($1.since, $1.sense.rawValue) }
    }

    /// The failure of this sense; nil where it works, or was not used yet.
    package func failure(of sense: Sense) -> Failure? { failing[sense] }

    /// An attempt failed.
    ///
    /// - Parameter since: when it began.
    package mutating func failed(_ sense: Sense, reason: String, since: Duration) {
        var failure = failing[sense] ?? Failure(sense: sense, since: since, last: since, attempts: 0, reason: "")
        failure.last = max(failure.last, since)
        failure.attempts += 1
        failure.reason = reason
        failing[sense] = failure
    }

    /// An attempt succeeded. Returns whether the one before had failed.
    @discardableResult
    package mutating func succeeded(_ sense: Sense) -> Bool {
        failing.removeValue(forKey: sense) != nil
    }

    /// A term begins: what failed before has to fail in it as long as anything else.
    package mutating func beginTerm(at now: Duration) {
        for sense in failing.keys {
            failing[sense]?.since = now
            failing[sense]?.attempts = 0
        }
    }

    /// Whether to give the lease back.
    ///
    /// One attempt is never enough, however long ago it was.
    ///
    /// - Parameters:
    ///   - timeout: how long a sense may fail.
    ///   - callsTimeout: the same for ``Sense/calls``; nil: `timeout`.
    package func verdict(timeout: Duration, callsTimeout: Duration? = nil, at now: Duration) -> Verdict {
        func end(_ failure: Failure) -> Duration {
            failure.since + (failure.sense == .calls ? callsTimeout ?? timeout : timeout)
        }
        let conclusive = failures.filter { $0.attempts >= 2 }
        guard let first = conclusive.min(by: { end($0) < end($1) }) else { return .keep }
        return now < end(first) ? .keepUntil(end(first)) : .stepDown(first)
    }
}
