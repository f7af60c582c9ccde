// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// A clock whose instants are plain durations since an origin, so that what is handed a time need not be generic.
struct Timekeeper: Sendable {
    /// The time since the origin.
    let now: @Sendable () -> Duration
    /// Waits, or throws CancellationError.
    let sleep: @Sendable (Duration) async throws -> Void

    init(_ clock: some Clock<Duration>) {
        let origin = clock.now
        now = { origin.duration(to: clock.now) }
        sleep = { try await clock.sleep(for: $0) }
    }
}
