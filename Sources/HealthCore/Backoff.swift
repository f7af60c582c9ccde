// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// An exponential back-off: delays that double with each consecutive failure.
package struct Backoff: Sendable, Hashable {
    /// The delay after the first failure.
    package var initial: Duration
    /// No delay is longer.
    package var maximum: Duration

    package init(initial: Duration, maximum: Duration) {
        self.initial = initial
        self.maximum = maximum
    }

    /// The delay after this number of consecutive failures.
    package func delay(afterFailures failures: Int) -> Duration {
        min(initial * (1 << min(max(failures - 1, 0), 20)), maximum)
    }
}
