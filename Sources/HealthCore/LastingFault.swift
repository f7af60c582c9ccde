// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// Decides when to log again that a fault lasts: one minute after it began, then after 2, 5 and 10 minutes, then every
/// 10 minutes, so that the last minutes of the log show it.
///
/// Pure: time is passed in as a `Duration` since any fixed moment of a monotonic clock.
package struct LastingFault: Sendable {
    /// From the start of a fault to its first line, and from each line to the next; the last pause repeats.
    package static let pauses: [Duration] = [60, 120, 300, 600].map { .seconds($0) }

    /// When the fault began.
    package private(set) var began: Duration
    /// How many lines were due so far.
    package private(set) var lines = 0
    /// When the next line is due.
    private var next: Duration

    package init(began: Duration) {
        self.began = began
        next = began + Self.pauses[0]
    }

    /// Returns whether a line is due, and if so counts it and schedules the next one.
    package mutating func isLineDue(at now: Duration) -> Bool {
        guard now >= next else { return false }
        lines += 1
        next = now + Self.pauses[min(lines, Self.pauses.count - 1)]
        return true
    }

    /// The fault began earlier than it was known to.
    package mutating func extend(to earlier: Duration) { began = min(began, earlier) }
}

extension Duration {
    /// Without fractions of a second, for the log.
    package var wholeSeconds: Duration { .seconds(components.seconds) }
}
