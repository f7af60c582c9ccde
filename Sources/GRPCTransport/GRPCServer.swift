// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import CGRPC
import Synchronization

/// A server of unary calls, for tests: it listens from its making to ``shutdown()``.
///
/// Each call is handled by a task of its own. The task is cancelled when the client gives up, when the deadline is over
/// or when the server shuts down.
package final class GRPCServer: Sendable {
    /// Answers one call.
    package typealias Handler = @Sendable (_ method: String, _ request: [UInt8]) async -> Result<[UInt8], GRPCError>

    @safe
    // Sendable because gRPC core's functions on a server may be called from every thread.
    private struct State: @unchecked Sendable {
        /// `grpc_server *`; nil once destroyed.
        var handle: OpaquePointer?
        var isShutDown = false
    }

    private let queue: CompletionQueue
    private let state: Mutex<State>
    private let incoming: AsyncStream<ServerCall>.Continuation
    /// Runs the handlers until the server is shut down, which cancels and awaits it. A task of the server's own and not
    /// a child of the caller's, because a simulated driver is started and stopped in the middle of a test.
    private let handlers: Task<Void, Never>

    /// Listens at `address`: `unix:///path`, a bare path or `127.0.0.1:port`. A socket file that is in the way is
    /// replaced.
    ///
    /// - Throws: InvalidArgument when the address is none; Unavailable when it cannot listen there.
    package init(address: String, handler: @escaping Handler) throws(GRPCError) {
        let target = try GRPCTarget(address)
        queue = CompletionQueue()
        var arguments = ChannelArguments()
        arguments.set("grpc.max_receive_message_length", -1)
        // grpc.h: a server needs its queue registered before it starts.
        let server = unsafe arguments.withUnsafeArguments { unsafe grpc_server_create($0, nil) }
        unsafe grpc_server_register_completion_queue(server, queue.handle, nil)
        let credentials = unsafe grpc_insecure_server_credentials_create()
        defer { unsafe grpc_server_credentials_release(credentials) }
        let (calls, incoming) = AsyncStream.makeStream(of: ServerCall.self)
        self.incoming = incoming
        handlers = Task {
            await withDiscardingTaskGroup { group in
                for await call in calls {
                    group.addTask { await call.handle(by: handler) }
                }
                group.cancelAll()
            }
        }
        unsafe state = Mutex(State(handle: server))
        guard unsafe grpc_server_add_http2_port(server, target.uri, credentials) > 0 else {
            unsafe grpc_server_destroy(server)
            state.withLock { unsafe $0.handle = nil }
            incoming.finish()
            queue.beginShutdown()
            throw GRPCError(code: .unavailable, message: "cannot listen at \(target.uri)")
        }
        unsafe grpc_server_start(server)
        requestCall()
    }

    /// Ends all calls, closes the socket and returns when all is freed. May be called more than once.
    package func shutdown() async {
        let server: OpaquePointer? = unsafe state.withLock { state in
            guard !state.isShutDown else { return nil }
            state.isShutDown = true
            return unsafe state.handle
        }
        if let server = unsafe server {
            await withCheckedContinuation { continuation in
                // grpc.h: the tag comes back when the server has no calls left, which cancelling them brings about.
                _ = unsafe queue.withTag { _ in
                    continuation.resume()
                } start: { tag in
                    unsafe grpc_server_shutdown_and_notify(server, queue.handle, tag)
                    return true
                }
                unsafe grpc_server_cancel_all_calls(server)
            }
            incoming.finish()
            handlers.cancel()
            await handlers.value
            unsafe grpc_server_destroy(server)
            state.withLock { unsafe $0.handle = nil }
            queue.beginShutdown()
        }
        await queue.ended()
    }

    /// Asks gRPC core for the next call; there is always one request out.
    private func requestCall() {
        let call = ServerCall(queue: queue)
        state.withLock { state in
            guard !state.isShutDown, let server = unsafe state.handle else { return }
            _ = unsafe queue.withTag { isCall in
                guard isCall else { return }
                self.requestCall()
                call.receive { self.incoming.yield(call) }
            } start: { tag in
                unsafe call.request(from: server, tag: tag)
            }
        }
    }
}
