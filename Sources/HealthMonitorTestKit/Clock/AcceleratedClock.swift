// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// A clock that runs faster than real time, for tests with too many timers to advance one by one.
package struct AcceleratedClock: Clock, Sendable {
    package struct Instant: InstantProtocol, Sendable {
        /// Since the clock was made, in the clock's time.
        package var offset: Duration

        package func advanced(by duration: Duration) -> Instant { Instant(offset: offset + duration) }
        package func duration(to other: Instant) -> Duration { other.offset - offset }
        package static func < (left: Instant, right: Instant) -> Bool { left.offset < right.offset }
    }

    private let factor: Int
    private let origin = ContinuousClock.now

    /// A clock at offset zero that runs `factor` times as fast as real time.
    package init(factor: Int) {
        self.factor = factor
    }

    package var now: Instant { Instant(offset: (ContinuousClock.now - origin) * factor) }
    package var minimumResolution: Duration { ContinuousClock().minimumResolution * factor }

    package func sleep(until deadline: Instant, tolerance: Duration?) async throws {
        try await ContinuousClock().sleep(until: origin + deadline.offset / factor, tolerance: nil)
    }
}
