// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// A clock that runs faster than time, for tests in which too many things wait for each other to be moved one by one.
package struct AcceleratedClock: Clock, Sendable {
    /// A moment: the time since the clock was made, as the clock runs.
    package struct Instant: InstantProtocol, Sendable {
        /// Since the clock was made.
        package var offset: Duration

        /// Later by a duration.
        package func advanced(by duration: Duration) -> Instant { Instant(offset: offset + duration) }
        /// How much later the other moment is.
        package func duration(to other: Instant) -> Duration { other.offset - offset }
        /// Earlier than.
        package static func < (left: Instant, right: Instant) -> Bool { left.offset < right.offset }
    }

    private let factor: Int
    private let origin = ContinuousClock.now

    /// A clock at the beginning of its time, so many times as fast as time.
    package init(factor: Int) {
        self.factor = factor
    }

    /// The moment that it is.
    package var now: Instant { Instant(offset: (ContinuousClock.now - origin) * factor) }
    /// That of the clock behind it.
    package var minimumResolution: Duration { ContinuousClock().minimumResolution * factor }

    /// Returns when it is so late.
    ///
    /// - Throws: `CancellationError` on cancellation.
    package func sleep(until deadline: Instant, tolerance: Duration?) async throws {
        try await ContinuousClock().sleep(until: origin + deadline.offset / factor, tolerance: nil)
    }
}
