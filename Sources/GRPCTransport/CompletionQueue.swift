// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import CGRPC
import Threads

/// gRPC core's completion queue, and the thread that waits on it.
///
/// gRPC core starts every asynchronous operation with a tag, which the queue returns when the operation has ended. Here
/// a tag is a closure, which then runs once, on the queue's thread.
@safe
final class CompletionQueue: Sendable {
    /// Runs when an operation has ended; `success` is false when it failed or the queue is shutting down.
    typealias Completion = @Sendable (_ success: Bool) -> Void

    private final class Tag: Sendable {
        let completion: Completion

        init(_ completion: @escaping Completion) {
            self.completion = completion
        }
    }

    /// `grpc_completion_queue *`, valid until the thread destroys it, which it does after ``beginShutdown()``. Safe:
    /// gRPC core's functions on a queue may be called from every thread.
    nonisolated(unsafe) let handle: OpaquePointer
    private let thread = DedicatedThread()

    init() {
        // grpc.h: to be called before any other function, and paired with grpc_shutdown(), which the thread calls.
        grpc_init()
        unsafe handle = grpc_completion_queue_create_for_next(nil)
        thread.start { self.run() }
    }

    /// Passes a tag for `completion` to `start`, which starts an operation with it.
    ///
    /// - Parameter start: returns false when gRPC core did not accept the operation; then `completion` never runs.
    /// - Returns: what `start` returns.
    func withTag(_ completion: @escaping Completion, start: (UnsafeMutableRawPointer?) -> Bool) -> Bool {
        // Retained here, taken once by the thread: gRPC core returns the tag of every operation that it has accepted,
        // once.
        let tag = unsafe Unmanaged.passRetained(Tag(completion))
        if unsafe start(tag.toOpaque()) { return true }
        unsafe tag.release()
        return false
    }

    /// The thread ends when the operations that were started have ended. No operation may be started after this.
    func beginShutdown() {
        unsafe grpc_completion_queue_shutdown(handle)
    }

    /// Returns when the thread has ended, which needs ``beginShutdown()``.
    func ended() async {
        await thread.ended()
    }

    private func run() {
        while true {
            // grpc.h: blocks until an event is available; GRPC_QUEUE_SHUTDOWN is the last one.
            let event = unsafe grpc_completion_queue_next(handle, gpr_inf_future(GPR_CLOCK_REALTIME), nil)
            guard unsafe event.type != GRPC_QUEUE_SHUTDOWN, let tag = unsafe event.tag else { break }
            let completion = unsafe Unmanaged<Tag>.fromOpaque(tag).takeRetainedValue().completion
            completion(unsafe event.success != 0)
        }
        unsafe grpc_completion_queue_destroy(handle)
        grpc_shutdown()
    }
}
