// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Glibc

/// A lock that the thread sanitizer sees through libgrpc: what one thread wrote before it handed a tag to gRPC core,
/// another reads after the tag came back, and only calls that the sanitizer intercepts tell it that this is ordered.
/// `Synchronization.Mutex` is a futex of its own, which it does not know.
@safe
final class PthreadLock<State>: @unchecked Sendable {
    // Sendable because `state` is touched between lock and unlock only.
    private let mutex: UnsafeMutablePointer<pthread_mutex_t>
    private var state: State

    init(_ state: sending State) {
        unsafe mutex = .allocate(capacity: 1)
        unsafe mutex.initialize(to: pthread_mutex_t())
        unsafe pthread_mutex_init(mutex, nil)
        self.state = state
    }

    deinit {
        unsafe pthread_mutex_destroy(mutex)
        unsafe mutex.deallocate()
    }

    func withLock<R>(_ body: (inout State) throws -> R) rethrows -> R {
        unsafe pthread_mutex_lock(mutex)
        defer { unsafe pthread_mutex_unlock(mutex) }
        return try body(&state)
    }
}
