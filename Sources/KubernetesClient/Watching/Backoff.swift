// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// An exponential back-off with jitter. Not HealthCore's: this module does not depend on the product.
package struct Backoff: Sendable, Hashable {
    private let initial: Duration
    private let maximum: Duration
    private var failures = 0

    /// The defaults are those of client-go's reflector.
    package init(initial: Duration = .milliseconds(800), maximum: Duration = .seconds(30)) {
        self.initial = initial
        self.maximum = maximum
    }

    /// The delay after one more failure: `initial`, doubled with every failure up to `maximum`, plus the jitter.
    ///
    /// - Parameter jitter: from 0 up to 1: the fraction of the delay that is added.
    package mutating func next(jitter: Double = 0) -> Duration {
        // 2^16 exceeds every useful maximum, and does not overflow.
        let delay = min(maximum, initial * (1 << min(failures, 16)))
        failures += 1
        return delay + delay * jitter
    }

    package mutating func reset() {
        failures = 0
    }
}
