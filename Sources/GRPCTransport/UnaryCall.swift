// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import CGRPC
import Synchronization

/// One unary call.
///
/// What gRPC core reads and writes while the call is in flight is in ``Memory``, at addresses that do not change, and
/// is freed when the call has ended.
final class UnaryCall: Sendable {
    // @unchecked Sendable: gRPC core's functions on a call may be called from every thread.
    @safe
    private struct State: @unchecked Sendable {
        /// `grpc_call *`; nil before the start and after the end.
        var handle: OpaquePointer?
        var isCancelled = false
    }

    private let queue: CompletionQueue
    /// gRPC core's own locks are taken while this one is held, and no other lock of ours.
    private let state = Mutex(State())

    init(queue: CompletionQueue) {
        self.queue = queue
    }

    /// Starts the call.
    ///
    /// - Parameters:
    ///   - handle: a `grpc_call *`, owned by this object from now on.
    ///   - completion: called once: on the queue's thread, or on the current one when the call could not be started.
    func start(
        _ handle: OpaquePointer,
        request: [UInt8],
        completion: @escaping @Sendable (Result<[UInt8], GRPCError>) -> Void
    ) {
        let memory = Memory(request: request)
        // A cancellation on another thread has to wait until the batch has been started.
        let isStarted = state.withLock { state in
            unsafe state.handle = handle
            if state.isCancelled { unsafe cancel(handle) }
            return unsafe queue.withTag { _ in
                self.end()
                completion(memory.result())
            } start: { tag in
                unsafe grpc_call_start_batch(handle, memory.operations, Memory.operationCount, tag, nil) == GRPC_CALL_OK
            }
        }
        if !isStarted {
            end()
            completion(.failure(GRPCError(code: .internal, message: "gRPC core refused to start the call")))
        }
    }

    /// Ends the call with the status Cancelled. May be called before the start; does nothing after the end.
    func cancel() {
        state.withLock { state in
            state.isCancelled = true
            if let handle = unsafe state.handle { unsafe cancel(handle) }
        }
    }

    private func cancel(_ handle: OpaquePointer) {
        // grpc.h: thread-safe; not to be called after grpc_call_unref, which the lock guarantees.
        unsafe _ = grpc_call_cancel(handle, nil)
    }

    private func end() {
        state.withLock { state in
            guard let handle = unsafe state.handle else { return }
            unsafe grpc_call_unref(handle)
            unsafe state.handle = nil
        }
    }
}

/// What gRPC core reads and writes during a call.
// @unchecked Sendable: one thread at a time uses it, first the one that starts the call, then gRPC core's, then the
// queue's.
@safe
private final class Memory: @unchecked Sendable {
    static let operationCount = 6

    let operations: UnsafeMutablePointer<grpc_op>
    private let initialMetadata: UnsafeMutablePointer<grpc_metadata_array>
    private let trailingMetadata: UnsafeMutablePointer<grpc_metadata_array>
    private let status: UnsafeMutablePointer<grpc_status_code>
    private let details: UnsafeMutablePointer<grpc_slice>
    private let request: UnsafeMutablePointer<grpc_byte_buffer>?
    private let response: UnsafeMutablePointer<UnsafeMutablePointer<grpc_byte_buffer>?>

    init(request bytes: [UInt8]) {
        unsafe operations = .allocate(capacity: Self.operationCount)
        unsafe operations.initialize(repeating: grpc_op(), count: Self.operationCount)
        unsafe initialMetadata = .allocate(capacity: 1)
        unsafe grpc_metadata_array_init(initialMetadata)
        unsafe trailingMetadata = .allocate(capacity: 1)
        unsafe grpc_metadata_array_init(trailingMetadata)
        unsafe status = .allocate(capacity: 1)
        unsafe status.initialize(to: GRPC_STATUS_UNKNOWN)
        unsafe details = .allocate(capacity: 1)
        unsafe details.initialize(to: grpc_empty_slice())
        unsafe request = makeByteBuffer(bytes)
        unsafe response = .allocate(capacity: 1)
        unsafe response.initialize(to: nil)

        unsafe operations[0].op = GRPC_OP_SEND_INITIAL_METADATA
        unsafe operations[1].op = GRPC_OP_SEND_MESSAGE
        unsafe operations[1].data.send_message.send_message = request
        unsafe operations[2].op = GRPC_OP_SEND_CLOSE_FROM_CLIENT
        unsafe operations[3].op = GRPC_OP_RECV_INITIAL_METADATA
        unsafe operations[3].data.recv_initial_metadata.recv_initial_metadata = initialMetadata
        unsafe operations[4].op = GRPC_OP_RECV_MESSAGE
        unsafe operations[4].data.recv_message.recv_message = response
        unsafe operations[5].op = GRPC_OP_RECV_STATUS_ON_CLIENT
        unsafe operations[5].data.recv_status_on_client.trailing_metadata = trailingMetadata
        unsafe operations[5].data.recv_status_on_client.status = status
        unsafe operations[5].data.recv_status_on_client.status_details = details
    }

    deinit {
        unsafe grpc_metadata_array_destroy(initialMetadata)
        unsafe grpc_metadata_array_destroy(trailingMetadata)
        unsafe grpc_slice_unref(details.pointee)
        if let request = unsafe request { unsafe grpc_byte_buffer_destroy(request) }
        if let response = unsafe response.pointee { unsafe grpc_byte_buffer_destroy(response) }
        unsafe operations.deallocate()
        unsafe initialMetadata.deallocate()
        unsafe trailingMetadata.deallocate()
        unsafe status.deallocate()
        unsafe details.deallocate()
        unsafe response.deallocate()
    }

    /// The response or the status, once the batch is complete.
    func result() -> Result<[UInt8], GRPCError> {
        let code = unsafe GRPCStatus.Code(rawValue: UInt32(bitPattern: status.pointee.rawValue))
        guard code == .ok else {
            return .failure(GRPCError(code: code, message: unsafe text(of: details.pointee)))
        }
        guard let response = unsafe response.pointee, let bytes = unsafe bytes(of: response) else {
            return .failure(GRPCError(code: .internal, message: "the server returned OK without a message"))
        }
        return .success(bytes)
    }
}
