// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import CGRPC
import Synchronization

/// A connection to a server, made when it is first needed and made anew when it breaks.
///
/// Owns a thread (gRPC core has a few of its own) until ``shutdown()``, or until nobody refers to it any more.
/// Everything may be called from every task.
package final class GRPCChannel: Sendable {
    /// Limits of a channel.
    package struct Configuration: Sendable {
        /// The largest message that is received, in bytes; a larger one ends the call with ResourceExhausted.
        package var maximumReceiveMessageSize: Int32 = 64 << 20
        /// The wait after a first failed attempt to connect. It grows with each further one.
        package var initialReconnectBackoff: Duration = .milliseconds(200)
        /// The longest wait between attempts to connect.
        package var maximumReconnectBackoff: Duration = .seconds(1)

        /// The defaults suit a server on the same machine.
        package init() {}
    }

    @safe
    // Sendable because gRPC core's functions on a channel may be called from every thread.
    private struct State: @unchecked Sendable {
        /// `grpc_channel *`; nil once the channel is destroyed.
        var handle: OpaquePointer?
        var isShutDown = false
        var calls: [ObjectIdentifier: UnaryCall] = [:]
    }

    private let target: GRPCTarget
    let queue: CompletionQueue
    private let state: Mutex<State>

    /// Prepares a connection. Nothing is sent before the first call.
    ///
    /// - Parameter target: an address as gRPC takes it (`unix:///run/csi/socket`, `dns:///host:port`), or the path of
    ///   a Unix domain socket.
    /// - Throws: InvalidArgument when there is no target, or when its path is none that a socket can have.
    package init(target: String, configuration: Configuration = Configuration()) throws(GRPCError) {
        self.target = try GRPCTarget(target)
        queue = CompletionQueue()
        // grpc.h: never NULL; a channel that cannot be made fails its calls.
        unsafe state = Mutex(State(handle: Self.makeChannel(self.target, configuration)))
        queue.liveHandles.add(1, ordering: .relaxed)
    }

    /// How many C objects of this channel were made and not yet given back: itself, its calls, what calls read and
    /// write. For tests of leaks.
    var liveHandles: Int { queue.liveHandles.load(ordering: .relaxed) }

    deinit {
        // Calls hold the channel, so none is under way. The queue's thread ends by itself.
        state.withLock { $0.isShutDown = true }
        destroyWhenIdle()
    }

    /// One call: sends `request` and returns the response's bytes.
    ///
    /// - Parameters:
    ///   - method: the full name: `/csi.v1.Identity/Probe`.
    ///   - timeout: how long the whole call may take, connecting included.
    /// - Throws: the status that the call ended with, unless that is OK. Unavailable: the server cannot be reached;
    ///   fails at once while it is known to be away. DeadlineExceeded: after `timeout`. Cancelled: the task was
    ///   cancelled, or the channel shut down.
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

    /// Ends the calls in flight with Cancelled, closes the connection and returns when all is freed. Later calls end
    /// with Cancelled at once. May be called more than once.
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
            // grpc.h: the slices are copied or referenced, the caller keeps its own references; no host, no parent.
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
            if unsafe handle != nil {
                state.calls[ObjectIdentifier(call)] = call
                queue.liveHandles.add(1, ordering: .relaxed)
            }
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

    /// Lends the `grpc_channel *`, nil after the shutdown. It cannot be destroyed meanwhile.
    func withHandle<R>(_ body: (OpaquePointer?) -> R) -> R {
        state.withLock { unsafe body($0.handle) }
    }

    /// The order that gRPC core asks for: calls done, channel destroyed, queue shut down.
    private func destroyWhenIdle() {
        state.withLock { state in
            guard state.isShutDown, state.calls.isEmpty, let handle = unsafe state.handle else { return }
            unsafe state.handle = nil
            unsafe grpc_channel_destroy(handle)
            queue.liveHandles.subtract(1, ordering: .relaxed)
            queue.beginShutdown()
        }
    }
}
