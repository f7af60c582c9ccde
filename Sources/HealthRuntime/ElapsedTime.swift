// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthCore

/// A clock whose instants are durations since an origin, the form in which the pure cores take time.
package struct ElapsedTime: Sendable {
    /// The clock itself, for APIs that take one.
    package let clock: any Clock<Duration>
    private let elapsed: @Sendable () -> Duration
    private let sleepUntil: @Sendable (Duration) async throws -> Void

    /// The origin is the clock's current instant.
    package init(_ clock: some Clock<Duration>) {
        self.clock = clock
        let origin = clock.now
        elapsed = { origin.duration(to: clock.now) }
        sleepUntil = { try await clock.sleep(until: origin.advanced(by: $0), tolerance: nil) }
    }

    package var now: Duration { elapsed() }

    /// - Throws: `CancellationError`.
    package func sleep(until end: Duration) async throws {
        try await sleepUntil(end)
    }

    /// - Throws: `CancellationError`.
    package func sleep(for duration: Duration) async throws {
        try await sleepUntil(now + duration)
    }

    /// Returns at the signal, at `end`, or on cancellation.
    package func wait(for signal: WakeUp, until end: Duration) async {
        await withTaskGroup { group in
            group.addTask { await signal.wait() }
            group.addTask { try? await sleep(until: end) }
            await group.next()
            group.cancelAll()
        }
    }
}

extension Duration {
    /// The age of a wall clock time, zero if it is in the future; both times are in seconds since 1970. Valid for any
    /// number, and at most 100 years, as `ageInSeconds(of:now:)`.
    package static func age(of seconds: Int64, now wall: Int64) -> Duration {
        .seconds(max(0, ageInSeconds(of: seconds, now: wall)))
    }
}

/// Runs tasks until one of them throws, and cancels the others then. None of them returns.
package func runAll(_ tasks: [@Sendable () async throws -> Void]) async throws {
    try await withThrowingTaskGroup { group in
        for task in tasks {
            group.addTask { try await task() }
        }
        try await group.next()
        group.cancelAll()
    }
}

/// Suspends until the task is cancelled.
///
/// - Throws: `CancellationError`.
package func suspendUntilCancelled() async throws {
    let (never, continuation) = AsyncStream.makeStream(of: Never.self)
    for await _ in never {}
    continuation.finish()
    throw CancellationError()
}
