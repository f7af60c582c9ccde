// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import CGRPC
import Synchronization

/// One call at a server, from the request for it to its end.
@safe
// Sendable because the pointers' memory is used by one thread at a time: gRPC core's between the start of an operation
// and its tag, the queue's after it, then the handler's task. The rest is behind `state`.
final class ServerCall: @unchecked Sendable {
    private struct State {
        /// Whether gRPC core has said that the call is over, for whatever reason.
        var isClosed = false
        var waiter: CheckedContinuation<Void, Never>?
    }

    private let queue: CompletionQueue
    private let state = Mutex(State())
    private let call: UnsafeMutablePointer<OpaquePointer?>
    private let details: UnsafeMutablePointer<grpc_call_details>
    private let metadata: UnsafeMutablePointer<grpc_metadata_array>
    private let message: UnsafeMutablePointer<UnsafeMutablePointer<grpc_byte_buffer>?>
    private let wasCancelled: UnsafeMutablePointer<Int32>

    init(queue: CompletionQueue) {
        self.queue = queue
        unsafe call = .allocate(capacity: 1)
        unsafe call.initialize(to: nil)
        unsafe details = .allocate(capacity: 1)
        unsafe grpc_call_details_init(details)
        unsafe metadata = .allocate(capacity: 1)
        unsafe grpc_metadata_array_init(metadata)
        unsafe message = .allocate(capacity: 1)
        unsafe message.initialize(to: nil)
        unsafe wasCancelled = .allocate(capacity: 1)
        unsafe wasCancelled.initialize(to: 0)
    }

    deinit {
        if let message = unsafe message.pointee { unsafe grpc_byte_buffer_destroy(message) }
        if let call = unsafe call.pointee { unsafe grpc_call_unref(call) }
        unsafe grpc_call_details_destroy(details)
        unsafe grpc_metadata_array_destroy(metadata)
        unsafe call.deallocate()
        unsafe details.deallocate()
        unsafe metadata.deallocate()
        unsafe message.deallocate()
        unsafe wasCancelled.deallocate()
    }

    /// Waits for a call under this tag.
    func request(from server: OpaquePointer, tag: UnsafeMutableRawPointer?) -> Bool {
        unsafe grpc_server_request_call(server, call, details, metadata, queue.handle, queue.handle, tag)
            == GRPC_CALL_OK
    }

    /// Reads the request's message and begins to watch for the call's end.
    func receive(_ received: @escaping @Sendable () -> Void) {
        var close = unsafe grpc_op()
        unsafe close.op = GRPC_OP_RECV_CLOSE_ON_SERVER
        unsafe close.data.recv_close_on_server.cancelled = wasCancelled
        unsafe start([close]) { self.close() }
        var receive = unsafe grpc_op()
        unsafe receive.op = GRPC_OP_RECV_MESSAGE
        unsafe receive.data.recv_message.recv_message = message
        unsafe start([receive], received)
    }

    /// Runs the handler and answers with what it returns, unless the call ends before it does.
    func handle(by handler: @escaping GRPCServer.Handler) async {
        let method = unsafe text(of: details.pointee.method)
        // An empty message is one; none at all comes from a client that gave up before it had sent it.
        guard let message = unsafe message.pointee, let request = unsafe bytes(of: message) else {
            return await answer(.failure(GRPCError(code: .internal, message: "\(method): no request message")))
        }
        await withTaskGroup(of: Result<[UInt8], GRPCError>?.self) { group in
            group.addTask { await handler(method, request) }
            group.addTask {
                await self.closed()
                return nil
            }
            if let first = await group.next(), let answer = first { await self.answer(answer) }
            // The call has ended, by the answer or before it: so do the handler and the watcher.
            self.close()
            group.cancelAll()
        }
    }

    private func answer(_ answer: Result<[UInt8], GRPCError>) async {
        var operations = unsafe [grpc_op](repeating: grpc_op(), count: 2)
        unsafe operations[0].op = GRPC_OP_SEND_INITIAL_METADATA
        unsafe operations[1].op = GRPC_OP_SEND_STATUS_FROM_SERVER
        var details = unsafe grpc_empty_slice()
        var buffer: UnsafeMutablePointer<grpc_byte_buffer>?
        switch answer {
        case .success(let bytes):
            unsafe buffer = makeByteBuffer(bytes)
            var send = unsafe grpc_op()
            unsafe send.op = GRPC_OP_SEND_MESSAGE
            unsafe send.data.send_message.send_message = buffer
            unsafe operations.insert(send, at: 1)
            unsafe operations[2].data.send_status_from_server.status = GRPC_STATUS_OK
        case .failure(let error):
            unsafe details = grpc_slice_from_copied_string(error.status.message)
            unsafe operations[1].data.send_status_from_server.status = grpc_status_code(
                rawValue: Int32(bitPattern: error.status.code.rawValue)
            )
        }
        await withCheckedContinuation { continuation in
            // grpc_types.h: the details are not kept past the start of the batch.
            unsafe withUnsafeMutablePointer(to: &details) { details in
                unsafe operations[operations.count - 1].data.send_status_from_server.status_details = details
                unsafe start(operations) { continuation.resume() }
            }
        }
        unsafe grpc_slice_unref(details)
        if let buffer = unsafe buffer { unsafe grpc_byte_buffer_destroy(buffer) }
    }

    private func start(_ operations: [grpc_op], _ completion: @escaping @Sendable () -> Void) {
        let isStarted = unsafe queue.withTag { _ in
            completion()
        } start: { tag in
            unsafe grpc_call_start_batch(call.pointee, operations, operations.count, tag, nil) == GRPC_CALL_OK
        }
        if !isStarted { completion() }
    }

    /// Returns when the call has ended.
    private func closed() async {
        await withCheckedContinuation { continuation in
            let isClosed = state.withLock { state in
                if !state.isClosed { state.waiter = continuation }
                return state.isClosed
            }
            if isClosed { continuation.resume() }
        }
    }

    private func close() {
        let waiter = state.withLock { state in
            state.isClosed = true
            defer { state.waiter = nil }
            return state.waiter
        }
        waiter?.resume()
    }
}
