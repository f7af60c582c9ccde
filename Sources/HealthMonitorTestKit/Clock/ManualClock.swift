// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Synchronization

/// A clock that stands still until a test advances it.
package final class ManualClock: Clock, Sendable {
    package struct Instant: InstantProtocol, Sendable {
        /// Since the clock was made.
        package var offset: Duration

        package func advanced(by duration: Duration) -> Instant { Instant(offset: offset + duration) }
        package func duration(to other: Instant) -> Duration { other.offset - offset }
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
        /// Tests that wait for sleepers; each checks again when its stream ends.
        var waiters: [AsyncStream<Void>.Continuation] = []
    }

    private let state = Mutex(State())

    /// A clock at offset zero.
    package init() {}

    package var now: Instant { state.withLock { $0.now } }
    /// Zero: every instant can be reached.
    package var minimumResolution: Duration { .zero }

    /// Advances the clock and resumes the sleepers that are due: by deadline, and of equal deadlines in the order in
    /// which they began to sleep.
    package func advance(by duration: Duration) {
        let due = state.withLock { state in
            state.now = state.now.advanced(by: duration)
            let due = state.sleepers.filter { $0.value.deadline <= state.now }
            for id in due.keys { state.sleepers[id] = nil }
            return due.sorted { ($0.value.deadline, $0.key) < ($1.value.deadline, $1.key) }
        }
        for (_, sleeper) in due { sleeper.continuation.resume() }
    }

    /// Returns when a task sleeps whose remaining time is in the range, or on cancellation.
    ///
    /// - Returns: the shortest of these remaining times; zero on cancellation.
    @discardableResult
    package func sleeper(
        ofAtLeast minimum: Duration = .zero,
        atMost maximum: Duration = .seconds(1_000_000)
    ) async -> Duration {
        await find { left in left.filter { $0 >= minimum && $0 <= maximum }.min() }
    }

    /// Returns when at least `count` tasks sleep at the same time, or on cancellation.
    package func sleepers(_ count: Int) async {
        _ = await find { left in left.count >= count ? .zero : nil }
    }

    /// Calls `find` with the remaining times of all sleepers, now and whenever one is added, until it returns a value.
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

    /// Returns when a test has advanced the clock to the deadline.
    ///
    /// - Throws: `CancellationError` on cancellation.
    package func sleep(until deadline: Instant, tolerance: Duration?) async throws {
        let id = state.withLock { state in
            state.nextID += 1
            return state.nextID
        }
        // A task that is cancelled after it was resumed has left an entry that nothing else removes.
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
