// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import CGRPC
import Synchronization

/// A connection to a server for unary calls, made on demand and re-established after it breaks.
///
/// Owns a thread, in addition to gRPC core's threads, until ``shutdown()`` or until the last reference to the channel
/// is released. All methods may be called concurrently.
package final class GRPCChannel: Sendable {
    package struct Configuration: Sendable {
        /// The maximum size of a response in bytes; a larger one ends the call with ResourceExhausted.
        package var maximumReceiveMessageSize: Int32 = 64 << 20
        /// The back-off after the first failed attempt to connect; it grows with each further failure.
        package var initialReconnectBackoff: Duration = .milliseconds(200)
        /// The longest back-off.
        package var maximumReconnectBackoff: Duration = .seconds(1)

        /// The defaults suit a server on the same machine.
        package init() {}
    }

    // @unchecked Sendable: gRPC core's functions on a channel may be called from every thread.
    @safe
    private struct State: @unchecked Sendable {
        /// `grpc_channel *`; nil after it was destroyed.
        var handle: OpaquePointer?
        var isShutDown = false
        var calls: [ObjectIdentifier: UnaryCall] = [:]
    }

    private let target: GRPCTarget
    private let configuration: Configuration
    let queue: CompletionQueue
    /// While this lock is held, only gRPC core's own locks are taken.
    private let state: Mutex<State>

    /// Does not connect: the first call does, or ``connectivityState(tryToConnect:)``.
    ///
    /// - Parameter target: an address as gRPC takes it (`unix:///run/csi/socket`, `dns:///host:port`), or the path of a
    ///   Unix domain socket.
    /// - Throws: InvalidArgument, when `target` is empty or its socket path is invalid: see ``checkTarget(_:)``.
    package convenience init(target: String, configuration: Configuration = Configuration()) throws(GRPCError) {
        self.init(try GRPCTarget(target), configuration)
    }

    private init(_ target: GRPCTarget, _ configuration: Configuration) {
        self.target = target
        self.configuration = configuration
        queue = CompletionQueue()
        // grpc.h: never NULL; on an error it is a channel whose calls all fail.
        unsafe state = Mutex(State(handle: Self.makeChannel(target, configuration)))
    }

    deinit {
        // No call is in flight, because a call retains the channel. The queue's thread then ends on its own.
        state.withLock { $0.isShutDown = true }
        destroyWhenIdle()
    }

    /// Another channel to the same target, with a connection of its own, which is not made yet; nil after
    /// ``shutdown()``.
    package func reopened() -> GRPCChannel? {
        state.withLock { $0.isShutDown } ? nil : GRPCChannel(target, configuration)
    }

    /// Calls a unary method and returns the response.
    ///
    /// - Parameters:
    ///   - method: the full name, such as `/csi.v1.Identity/Probe`.
    ///   - request: the encoded message.
    ///   - timeout: for the whole call, including the time to connect.
    /// - Throws: the status of the call unless it is OK. Unavailable: the server cannot be reached; while the channel
    ///   backs off, the call fails at once. DeadlineExceeded: `timeout` has passed. Cancelled: the task was cancelled,
    ///   or the channel shut down.
    package func unary(_ method: String, request: [UInt8], timeout: Duration) async throws(GRPCError) -> [UInt8] {
        let call = UnaryCall(queue: queue)
        let result = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                start(call, method, request: request, timeout: timeout) { result in
                    continuation.resume(returning: result)
                }
            }
        } onCancel: {
            call.cancel()
        }
        return try result.get()
    }

    /// Ends the calls in flight with Cancelled, closes the connection and returns when everything is freed. Later calls
    /// fail with Cancelled at once. May be called more than once.
    package func shutdown() async {
        let calls = state.withLock { state in
            state.isShutDown = true
            return Array(state.calls.values)
        }
        for call in calls { call.cancel() }
        destroyWhenIdle()
        await queue.ended()
    }

    private func start(
        _ call: UnaryCall,
        _ method: String,
        request: [UInt8],
        timeout: Duration,
        completion: @escaping @Sendable (Result<[UInt8], GRPCError>) -> Void
    ) {
        let handle: OpaquePointer? = unsafe state.withLock { state in
            guard !state.isShutDown, let channel = unsafe state.handle else { return nil }
            // grpc.h: the caller keeps its reference to the slice. Without a parent call and without a host.
            let path = unsafe grpc_slice_from_copied_string(method)
            defer { unsafe grpc_slice_unref(path) }
            let handle = unsafe grpc_channel_create_call(
                channel,
                nil,
                CGRPC_propagate_defaults(),
                queue.handle,
                path,
                nil,
                deadline(after: timeout),
                nil
            )
            if unsafe handle != nil { state.calls[ObjectIdentifier(call)] = call }
            return unsafe handle
        }
        guard let handle = unsafe handle else {
            completion(.failure(GRPCError(code: .cancelled, message: "the channel to \(target.uri) is shut down")))
            return
        }
        unsafe call.start(handle, request: request) { result in
            self.state.withLock { $0.calls[ObjectIdentifier(call)] = nil }
            self.destroyWhenIdle()
            completion(result)
        }
    }

    /// Passes the `grpc_channel *` to `body`; nil once it is destroyed, after ``shutdown()``. It is not destroyed while
    /// `body` runs, which must not use the channel in another way: the lock is held.
    func withHandle<R>(_ body: (OpaquePointer?) -> R) -> R {
        state.withLock { unsafe body($0.handle) }
    }

    /// Destroys the channel if it is shut down and no call is in flight. gRPC core requires this order: the calls end,
    /// the channel is destroyed, the queue shuts down.
    private func destroyWhenIdle() {
        state.withLock { state in
            guard state.isShutDown, state.calls.isEmpty, let handle = unsafe state.handle else { return }
            unsafe state.handle = nil
            unsafe grpc_channel_destroy(handle)
            queue.beginShutdown()
        }
    }
}
