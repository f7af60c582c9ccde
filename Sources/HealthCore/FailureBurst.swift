// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// Decides which of many similar failures to log as warnings: the first few of a minute. A refusal that concerns every
/// claim would otherwise add a line for each.
///
/// Pure: time is passed in as a `Duration` since any fixed moment of a monotonic clock.
package struct FailureBurst: Sendable {
    package enum Line: Sendable, Equatable {
        case warning
        /// The first failure that is not logged as a warning: log once that there are more.
        case more
        case quiet
    }

    /// How many failures are warnings within ``period``.
    package static let warnings = 5
    package static let period = Duration.seconds(60)

    private var began: Duration?
    private var count = 0

    package init() {}

    package mutating func next(at now: Duration) -> Line {
        if began.map({ now - $0 >= Self.period }) ?? true { (began, count) = (now, 0) }
        count += 1
        return count <= Self.warnings ? .warning : count == Self.warnings + 1 ? .more : .quiet
    }
}
