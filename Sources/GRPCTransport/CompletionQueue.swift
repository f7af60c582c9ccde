// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import CGRPC
import Glibc
import Synchronization

/// gRPC core's completion queue, and the thread that waits on it.
///
/// Everything asynchronous in gRPC core is started with a tag and comes back through the queue with it. A tag here is
/// a number under which what is to be done is kept; it is done once, on the queue's thread.
/// The one pointer in it is a handle that only gRPC core dereferences.
@safe
final class CompletionQueue: Sendable {
    /// What is to be done when an operation ends; false: it failed, or the queue is going away.
    typealias Completion = @Sendable (_ success: Bool) -> Void

    private struct State {
        var nextTag: UInt = 1
        var completions: [UInt: Completion] = [:]
        var hasEnded = false
        var waiters: [CheckedContinuation<Void, Never>] = []
    }

    /// `grpc_completion_queue *`, valid until the thread destroys it, which it does after ``beginShutdown()``.
    nonisolated(unsafe) let handle: OpaquePointer
    private let state = Mutex(State())
    /// How many C objects that use this queue were made and not yet given back: for tests of leaks.
    let liveHandles = Atomic(0)

    init() {
        // grpc.h: must be called before any other function, and paired with grpc_shutdown(), which the thread calls.
        grpc_init()
        unsafe handle = grpc_completion_queue_create_for_next(nil)
        startThread()
    }

    /// Keeps `completion` under a tag and passes the tag to `start`, which gives it to gRPC core.
    ///
    /// - Parameter start: returns false when gRPC core did not take the tag; then nothing is kept.
    func withTag(_ completion: @escaping Completion, start: (UnsafeMutableRawPointer?) -> Bool) -> Bool {
        let tag = state.withLock { state in
            let tag = state.nextTag
            state.nextTag += 1
            state.completions[tag] = completion
            return tag
        }
        // A number in a pointer's clothes: nobody looks behind it.
        if unsafe start(UnsafeMutableRawPointer(bitPattern: tag)) { return true }
        state.withLock { $0.completions[tag] = nil }
        return false
    }

    /// No operation may be started after this; the thread ends when those under way have ended.
    func beginShutdown() {
        unsafe grpc_completion_queue_shutdown(handle)
    }

    /// Returns when the thread has ended, which needs ``beginShutdown()``.
    func ended() async {
        await withCheckedContinuation { continuation in
            let hasEnded = state.withLock { state in
                if !state.hasEnded { state.waiters.append(continuation) }
                return state.hasEnded
            }
            if hasEnded { continuation.resume() }
        }
    }

    private func startThread() {
        var thread = pthread_t()
        // The thread owns the queue object until it ends: retained here, taken once by the thread.
        let argument = unsafe Unmanaged.passRetained(self)
        let failure = unsafe pthread_create(
            &thread,
            nil,
            { argument in
                guard let argument = unsafe argument else { return nil }
                unsafe Unmanaged<CompletionQueue>.fromOpaque(argument).takeRetainedValue().run()
                return nil
            },
            unsafe argument.toOpaque()
        )
        precondition(failure == 0, "cannot start a thread: error \(failure)")
        pthread_detach(thread)
    }

    private func run() {
        while true {
            // grpc.h: blocks until an event is available; GRPC_QUEUE_SHUTDOWN is the last one.
            let event = unsafe grpc_completion_queue_next(handle, gpr_inf_future(GPR_CLOCK_REALTIME), nil)
            if unsafe event.type == GRPC_QUEUE_SHUTDOWN { break }
            let tag = UInt(bitPattern: unsafe event.tag)
            let completion = state.withLock { $0.completions.removeValue(forKey: tag) }
            completion?(unsafe event.success != 0)
        }
        unsafe grpc_completion_queue_destroy(handle)
        grpc_shutdown()
        let waiters = state.withLock { state in
            state.hasEnded = true
            return state.waiters
        }
        for waiter in waiters { waiter.resume() }
    }
}
