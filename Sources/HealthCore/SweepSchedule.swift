// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// Schedules the sweeps, in which the driver lists all volumes.
///
/// The next sweep begins one interval after the last one began, so that slow sweeps do not add up; after a failed one
/// it begins sooner, with a back-off that never exceeds the interval. Pure: time is passed in.
package struct SweepSchedule: Sendable {
    private let interval: Duration
    private let backoff: Backoff
    private var began: Duration?
    private var failures = 0

    /// - Parameter initialBackoff: the delay after a failed sweep; it doubles with each further failure.
    package init(interval: Duration, initialBackoff: Duration = .seconds(5)) {
        self.interval = interval
        backoff = Backoff(initial: min(initialBackoff, interval), maximum: interval)
    }

    /// A sweep begins.
    package mutating func begin(at now: Duration) {
        began = now
    }

    /// The sweep ended. Returns when the next one begins, never before now.
    ///
    /// - Parameter intervals: after a complete sweep, how many intervals after its beginning the next one begins.
    package mutating func end(complete: Bool, intervals: Int = 1, at now: Duration) -> Duration {
        if complete {
            failures = 0
            return max(now, (began ?? now) + interval * intervals)
        }
        failures += 1
        return now + backoff.delay(afterFailures: failures)
    }
}
