// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// Decides which of the failed calls for single volumes to log as warnings: the first with each code, and while calls
/// go on to fail with it, one at the increasing intervals of ``LastingFault``.
///
/// Pure: time is passed in as a `Duration` since any fixed moment of a monotonic clock.
package struct CallFailures: Sendable {
    package enum Line: Sendable, Equatable {
        case first
        /// - Parameters:
        ///   - age: the time since the first failure.
        ///   - count: how many calls have failed with the code since then, this one included.
        case lasting(age: Duration, count: Int)
        /// Not a warning.
        case quiet
    }

    /// No call has failed with this code for ``memory``.
    package struct Ended: Sendable, Equatable {
        package var code: String
        /// From the first failure to the last one.
        package var age: Duration
        package var count: Int
    }

    private struct Failure {
        var fault: LastingFault
        var last: Duration
        var count: Int
    }

    private let memory: Duration
    private var failures: [String: Failure] = [:]

    /// - Parameter longestGap: the longest time between two calls for a volume whose calls fail. Without a failure for
    ///   twice this time, and for the longest pause between two lines, the failures with a code have ended.
    package init(longestGap: Duration) {
        memory = LastingFault.pauses.reduce(longestGap * 2, max)
    }

    /// A call has failed.
    package mutating func failed(code: String, at now: Duration) -> Line {
        var failure = failures[code] ?? Failure(fault: LastingFault(began: now), last: now, count: 0)
        defer { failures[code] = failure }
        failure.last = now
        failure.count += 1
        if failure.count == 1 { return .first }
        return failure.fault.isLineDue(at: now)
            ? .lasting(age: now - failure.fault.began, count: failure.count) : .quiet
    }

    /// Forgets the codes with which calls no longer fail, and returns them in order.
    package mutating func removeEnded(at now: Duration) -> [Ended] {
        let ended = failures.filter { now - $0.value.last >= memory }
        for code in ended.keys { failures[code] = nil }
        return ended.sorted { $0.key < $1.key }.map { code, failure in
            Ended(code: code, age: failure.last - failure.fault.began, count: failure.count)
        }
    }
}
