// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// Exponential back-off with jitter: delays that double with every failure.
package struct Backoff: Sendable, Hashable {
    private let first: Duration
    private let limit: Duration
    private var failures = 0

    /// The defaults are those of client-go's reflector.
    package init(first: Duration = .milliseconds(800), limit: Duration = .seconds(30)) {
        self.first = first
        self.limit = limit
    }

    /// The delay after one more failure: `first`, doubled with every failure up to `limit`, plus the jitter.
    ///
    /// - Parameter jitter: from 0 up to 1: the fraction of the delay that is added.
    package mutating func next(jitter: Double = 0) -> Duration {
        // 2^16 exceeds every useful limit, and does not overflow.
        let delay = min(limit, first * (1 << min(failures, 16)))
        failures += 1
        return delay + delay * jitter
    }

    package mutating func reset() {
        failures = 0
    }
}
