// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// When the driver is asked for all volumes again.
///
/// One interval after the last sweep began, so that slow sweeps do not add up; sooner after a failed one, with a
/// back-off that never exceeds the interval. Pure: time is passed in.
package struct SweepSchedule: Sendable {
    private let interval: Duration
    private let backoff: Backoff
    private var began: Duration?
    private var failures = 0

    /// Sweeps at this interval; after a failed one tries again after `initialBackoff`, doubled each time.
    package init(interval: Duration, initialBackoff: Duration = .seconds(5)) {
        self.interval = interval
        backoff = Backoff(initial: min(initialBackoff, interval), maximum: interval)
    }

    /// A sweep begins now.
    package mutating func begin(at now: Duration) {
        began = now
    }

    /// The sweep ended now. Returns when the next one begins; never before now.
    ///
    /// - Parameter intervals: how many intervals after the beginning of this one, where it was complete.
    package mutating func end(complete: Bool, intervals: Int = 1, at now: Duration) -> Duration {
        if complete {
            failures = 0
            return max(now, (began ?? now) + interval * intervals)
        }
        failures += 1
        return now + backoff.delay(afterFailures: failures)
    }
}
