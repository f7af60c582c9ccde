// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Synchronization

/// A clock that stands still until a test moves it.
package final class ManualClock: Clock, Sendable {
    /// A moment: the time since the clock was made.
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

    private struct Sleeper {
        var deadline: Instant
        var continuation: CheckedContinuation<Void, any Error>
    }

    private struct State {
        var now = Instant(offset: .zero)
        var nextID = 0
        var sleepers: [Int: Sleeper] = [:]
        var cancelled: Set<Int> = []
        /// Tests that wait for sleepers; the end of its stream reports one to look again.
        var waiters: [AsyncStream<Void>.Continuation] = []
    }

    private let state = Mutex(State())

    /// A clock at the beginning of its time.
    package init() {}

    /// The moment at which the clock stands.
    package var now: Instant { state.withLock { $0.now } }
    /// It has none: the clock stands exactly where a test puts it.
    package var minimumResolution: Duration { .zero }

    /// Moves the clock and wakes those whose time has come: the earliest deadline first, of equal ones who slept first.
    package func advance(by duration: Duration) {
        let due = state.withLock { state in
            state.now = state.now.advanced(by: duration)
            let due = state.sleepers.filter { $0.value.deadline <= state.now }
            for id in due.keys { state.sleepers[id] = nil }
            return due.sorted { ($0.value.deadline, $0.key) < ($1.value.deadline, $1.key) }
        }
        for (_, sleeper) in due { sleeper.continuation.resume() }
    }

    /// Returns when somebody sleeps whose time comes so long from now, or on cancellation.
    ///
    /// - Returns: how long the earliest of those sleeps still; zero on cancellation.
    @discardableResult
    package func sleeper(
        ofAtLeast minimum: Duration = .zero,
        atMost maximum: Duration = .seconds(1_000_000)
    ) async -> Duration {
        await find { left in left.filter { $0 >= minimum && $0 <= maximum }.min() }
    }

    /// Returns when so many sleep at the same time, or on cancellation.
    package func sleepers(_ count: Int) async {
        _ = await find { left in left.count >= count ? .zero : nil }
    }

    /// Looks at how long everybody still sleeps, now and whenever somebody falls asleep, until `find` returns something.
    private func find(_ find: ([Duration]) -> Duration?) async -> Duration {
        while !Task.isCancelled {
            let (arrivals, waiter) = AsyncStream.makeStream(of: Void.self)
            let found: Duration? = state.withLock { state in
                let found = find(state.sleepers.values.map { state.now.duration(to: $0.deadline) })
                if found == nil { state.waiters.append(waiter) }
                return found
            }
            if let found { return found }
            for await _ in arrivals {}
        }
        return .zero
    }

    /// Returns when a test has moved the clock so far.
    ///
    /// - Throws: `CancellationError` on cancellation.
    package func sleep(until deadline: Instant, tolerance: Duration?) async throws {
        let id = state.withLock { state in
            state.nextID += 1
            return state.nextID
        }
        // Who is cancelled after waking leaves a mark that nobody takes.
        defer { state.withLock { _ = $0.cancelled.remove(id) } }
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let (end, waiters): (Result<Void, any Error>?, [AsyncStream<Void>.Continuation]) =
                    state.withLock { state in
                        if state.cancelled.remove(id) != nil { return (.failure(CancellationError()), []) }
                        if deadline <= state.now { return (.success(()), []) }
                        state.sleepers[id] = Sleeper(deadline: deadline, continuation: continuation)
                        defer { state.waiters = [] }
                        return (nil, state.waiters)
                    }
                if let end { continuation.resume(with: end) }
                for waiter in waiters { waiter.finish() }
            }
        } onCancel: {
            let sleeper = state.withLock { state in
                if let sleeper = state.sleepers.removeValue(forKey: id) { return Optional(sleeper) }
                state.cancelled.insert(id)
                return nil
            }
            sleeper?.continuation.resume(throwing: CancellationError())
        }
    }
}
