// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Glibc
import Synchronization

/// A thread outside Swift's pool, for a C library that blocks it or whose handles belong to one thread.
package final class DedicatedThread: Sendable {
    private struct State {
        var hasEnded = false
        var waiters: [CheckedContinuation<Void, Never>] = []
    }

    /// What pthread_create(3) passes to the thread.
    private final class Body: Sendable {
        let run: @Sendable () -> Void

        init(_ run: @escaping @Sendable () -> Void) {
            self.run = run
        }
    }

    /// No other lock is taken while this one is held.
    private let state = Mutex(State())

    /// Starts nothing.
    package init() {}

    /// Runs `body` on a new thread; to be called once. What `body` refers to lives until it has returned.
    package func start(_ body: @escaping @Sendable () -> Void) {
        // Retained here, taken once by the thread.
        let argument = unsafe Unmanaged.passRetained(
            Body {
                body()
                self.end()
            }
        )
        var thread = pthread_t()
        let failure = unsafe pthread_create(
            &thread,
            nil,
            { argument in
                guard let argument = unsafe argument else { return nil }
                unsafe Unmanaged<Body>.fromOpaque(argument).takeRetainedValue().run()
                return nil
            },
            unsafe argument.toOpaque()
        )
        precondition(failure == 0, "pthread_create: error \(failure)")
        pthread_detach(thread)
    }

    /// Returns when `body` has returned, and not before that on cancellation.
    package func ended() async {
        await withCheckedContinuation { continuation in
            let hasEnded = state.withLock { state in
                if !state.hasEnded { state.waiters.append(continuation) }
                return state.hasEnded
            }
            if hasEnded { continuation.resume() }
        }
    }

    private func end() {
        let waiters = state.withLock { state in
            state.hasEnded = true
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters { waiter.resume() }
    }
}
