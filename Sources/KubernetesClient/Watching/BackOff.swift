// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// Delays that double with every failure, spread so that many clients do not come back at the same moment.
struct BackOff: Sendable, Hashable {
    private let first: Duration
    private let limit: Duration
    private var failures = 0

    /// The defaults are client-go's for its reflectors.
    init(first: Duration = .milliseconds(800), limit: Duration = .seconds(30)) {
        self.first = first
        self.limit = limit
    }

    /// The delay after one more failure: once to twice the doubled value, which stays within the limit.
    ///
    /// - Parameter jitter: from 0 up to 1.
    mutating func next(jitter: Double) -> Duration {
        // 2^16 is beyond any limit that is of use here.
        let delay = min(limit, first * (1 << min(failures, 16)))
        failures += 1
        return delay + delay * jitter
    }

    mutating func reset() {
        failures = 0
    }
}
