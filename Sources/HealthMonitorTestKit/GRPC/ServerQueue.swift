// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import CGRPC
import Threads

/// The completion queue of a server, and the thread that waits on it. Shares no code with the client's, so that a fault
/// of one cannot hide that of the other.
@safe
final class ServerQueue: Sendable {
    private final class Completion: Sendable {
        let run: @Sendable (_ success: Bool) -> Void

        init(_ run: @escaping @Sendable (_ success: Bool) -> Void) {
            self.run = run
        }
    }

    /// `grpc_completion_queue *`. Safe: gRPC core's functions on a queue may be called from every thread.
    nonisolated(unsafe) let handle: OpaquePointer
    private let thread = DedicatedThread()

    init() {
        // grpc.h: to be called before any other function, and paired with grpc_shutdown(), which the thread calls.
        grpc_init()
        unsafe handle = grpc_completion_queue_create_for_next(nil)
        thread.start { self.run() }
    }

    /// Starts an operation by passing a tag to `start`. `completion` runs on the queue's thread when the operation has
    /// ended, and never when `start` returns false.
    func start(
        _ start: (_ tag: UnsafeMutableRawPointer) -> Bool,
        completion: @escaping @Sendable (_ success: Bool) -> Void
    ) -> Bool {
        // Retained here, taken once by the thread.
        let tag = unsafe Unmanaged.passRetained(Completion(completion))
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
            let completion = unsafe Unmanaged<Completion>.fromOpaque(tag).takeRetainedValue()
            completion.run(unsafe event.success != 0)
        }
        unsafe grpc_completion_queue_destroy(handle)
        grpc_shutdown()
    }
}
