// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import CGRPC
package import GRPCTransport
import Synchronization

/// A server of unary calls, which listens until ``shutdown()``.
///
/// Each call is handled in a task of its own, which is cancelled when the client cancels the call, when its deadline
/// has passed and when the server shuts down.
package final class GRPCServer: Sendable {
    /// Handles one call.
    package typealias Handler = @Sendable (_ method: String, _ request: [UInt8]) async -> Result<[UInt8], GRPCError>

    // @unchecked Sendable: gRPC core's functions on a server may be called from every thread.
    @safe
    private struct State: @unchecked Sendable {
        /// `grpc_server *`; nil after it was destroyed.
        var handle: OpaquePointer?
        var isShutDown = false
    }

    private let queue: ServerQueue
    /// gRPC core's own locks are taken while this one is held, and no other lock of ours.
    private let state: Mutex<State>
    private let incoming: AsyncStream<ServerCall>.Continuation
    /// Runs the handlers; ``shutdown()`` cancels and awaits it. Not a child of the caller's task, because a test starts
    /// and stops a simulated driver in its middle.
    private let handlers: Task<Void, Never>

    /// Listens at `address`: `unix:///path`, a bare path or `127.0.0.1:port`. Replaces a socket file that exists.
    ///
    /// - Throws: InvalidArgument, when `address` is invalid; Unavailable, when the server cannot listen there.
    package init(address: String, handler: @escaping Handler) throws(GRPCError) {
        try checkTarget(address)
        let uri = address.hasPrefix("/") ? "unix://" + address : address
        queue = ServerQueue()
        let server = unsafe Self.makeServer()
        // grpc.h: a queue has to be registered before the server starts.
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
        guard unsafe grpc_server_add_http2_port(server, uri, credentials) > 0 else {
            unsafe grpc_server_destroy(server)
            state.withLock { unsafe $0.handle = nil }
            incoming.finish()
            queue.beginShutdown()
            throw GRPCError(code: .unavailable, message: "cannot listen at \(uri)")
        }
        unsafe grpc_server_start(server)
        requestCall()
    }

    /// Ends all calls, closes the socket and returns when everything is freed. May be called more than once.
    package func shutdown() async {
        let server: OpaquePointer? = unsafe state.withLock { state in
            guard !state.isShutDown else { return nil }
            state.isShutDown = true
            return unsafe state.handle
        }
        if let server = unsafe server {
            await withCheckedContinuation { continuation in
                // grpc.h: returns the tag when the server has no calls, which are therefore cancelled.
                _ = unsafe queue.start { tag in
                    unsafe grpc_server_shutdown_and_notify(server, queue.handle, tag)
                    return true
                } completion: { _ in
                    continuation.resume()
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

    /// A `grpc_server *` without a limit on the size of requests.
    private static func makeServer() -> OpaquePointer? {
        var name = Array("grpc.max_receive_message_length".utf8CString)
        return unsafe name.withUnsafeMutableBufferPointer { name in
            var limit = unsafe grpc_arg()
            unsafe limit.type = GRPC_ARG_INTEGER
            unsafe limit.key = name.baseAddress
            unsafe limit.value.integer = -1
            return unsafe withUnsafeMutablePointer(to: &limit) { limit in
                // grpc.h: copies the arguments.
                var arguments = unsafe grpc_channel_args(num_args: 1, args: limit)
                return unsafe grpc_server_create(&arguments, nil)
            }
        }
    }

    /// Asks gRPC core for the next call. One such request is always pending.
    private func requestCall() {
        let call = ServerCall(queue: queue)
        state.withLock { state in
            guard !state.isShutDown, let server = unsafe state.handle else { return }
            _ = unsafe queue.start { tag in
                unsafe call.request(from: server, tag: tag)
            } completion: { isCall in
                guard isCall else { return }
                self.requestCall()
                call.receive { self.incoming.yield(call) }
            }
        }
    }
}
