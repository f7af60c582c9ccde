// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import CGRPC
import GRPCTransport

/// One call at a server, from the request for it to its end.
// @unchecked Sendable: one thread at a time uses the memory behind the pointers, gRPC core's between the start of an
// operation and its tag, then the queue's, then that of the handler's task.
@safe
final class ServerCall: @unchecked Sendable {
    private let queue: ServerQueue
    private let call: UnsafeMutablePointer<OpaquePointer?>
    private let details: UnsafeMutablePointer<grpc_call_details>
    private let metadata: UnsafeMutablePointer<grpc_metadata_array>
    private let message: UnsafeMutablePointer<UnsafeMutablePointer<grpc_byte_buffer>?>
    private let wasCancelled: UnsafeMutablePointer<Int32>
    /// Finishes when the call has ended, for whatever reason.
    private let end: AsyncStream<Never>
    private let endSignal: AsyncStream<Never>.Continuation

    init(queue: ServerQueue) {
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
        (end, endSignal) = AsyncStream.makeStream(of: Never.self)
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

    /// Asks gRPC core for a call; it returns the tag when there is one.
    func request(from server: OpaquePointer, tag: UnsafeMutableRawPointer) -> Bool {
        unsafe grpc_server_request_call(server, call, details, metadata, queue.handle, queue.handle, tag)
            == GRPC_CALL_OK
    }

    /// Receives the request's message, and begins to watch for the end of the call.
    func receive(_ received: @escaping @Sendable () -> Void) {
        var close = unsafe grpc_op()
        unsafe close.op = GRPC_OP_RECV_CLOSE_ON_SERVER
        unsafe close.data.recv_close_on_server.cancelled = wasCancelled
        unsafe start([close]) { self.endSignal.finish() }
        var receive = unsafe grpc_op()
        unsafe receive.op = GRPC_OP_RECV_MESSAGE
        unsafe receive.data.recv_message.recv_message = message
        unsafe start([receive], received)
    }

    /// Runs the handler and sends its response, unless the call ends before that.
    func handle(by handler: @escaping GRPCServer.Handler) async {
        let method = unsafe text(of: details.pointee.method)
        // Without a message the client has cancelled the call before it had sent one. An empty message is a message.
        guard let message = unsafe message.pointee, let request = unsafe bytes(of: message) else {
            return await respond(.failure(GRPCError(code: .internal, message: "\(method): no request message")))
        }
        await withTaskGroup(of: Result<[UInt8], GRPCError>?.self) { group in
            group.addTask { await handler(method, request) }
            group.addTask {
                for await _ in self.end {}
                return nil
            }
            if let first = await group.next(), let response = first { await self.respond(response) }
            group.cancelAll()
        }
    }

    private func respond(_ response: Result<[UInt8], GRPCError>) async {
        var operations = unsafe [grpc_op](repeating: grpc_op(), count: 2)
        unsafe operations[0].op = GRPC_OP_SEND_INITIAL_METADATA
        unsafe operations[1].op = GRPC_OP_SEND_STATUS_FROM_SERVER
        var details = unsafe grpc_empty_slice()
        var buffer: UnsafeMutablePointer<grpc_byte_buffer>?
        switch response {
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
            // grpc_types.h: the details are not read after the start of the batch.
            unsafe withUnsafeMutablePointer(to: &details) { details in
                unsafe operations[operations.count - 1].data.send_status_from_server.status_details = details
                unsafe start(operations) { continuation.resume() }
            }
        }
        unsafe grpc_slice_unref(details)
        if let buffer = unsafe buffer { unsafe grpc_byte_buffer_destroy(buffer) }
    }

    private func start(_ operations: [grpc_op], _ completion: @escaping @Sendable () -> Void) {
        let isStarted = unsafe queue.start { tag in
            unsafe grpc_call_start_batch(call.pointee, operations, operations.count, tag, nil) == GRPC_CALL_OK
        } completion: { _ in
            completion()
        }
        if !isStarted { completion() }
    }
}

// MARK: Messages

/// Copies `bytes` into a `grpc_byte_buffer`, which the caller has to destroy.
private func makeByteBuffer(_ bytes: [UInt8]) -> UnsafeMutablePointer<grpc_byte_buffer>? {
    // slice.h: copies the bytes.
    var slice = unsafe bytes.withUnsafeBytes { bytes in
        unsafe grpc_slice_from_copied_buffer(bytes.baseAddress, bytes.count)
    }
    defer { unsafe grpc_slice_unref(slice) }
    // byte_buffer.h: takes its own reference to each slice.
    return unsafe grpc_raw_byte_buffer_create(&slice, 1)
}

/// Copies the bytes of a `grpc_byte_buffer`; nil when they cannot be decompressed.
private func bytes(of buffer: UnsafeMutablePointer<grpc_byte_buffer>) -> [UInt8]? {
    var reader = unsafe grpc_byte_buffer_reader()
    guard unsafe grpc_byte_buffer_reader_init(&reader, buffer) != 0 else { return nil }
    defer { unsafe grpc_byte_buffer_reader_destroy(&reader) }
    // byte_buffer_reader.h: one slice with all bytes, which the caller has to release.
    let slice = unsafe grpc_byte_buffer_reader_readall(&reader)
    defer { unsafe grpc_slice_unref(slice) }
    return unsafe bytes(of: slice)
}

private func bytes(of slice: grpc_slice) -> [UInt8] {
    // The pointer is valid for as long as `slice` is: a short slice has its bytes inside the struct.
    var slice = unsafe slice
    return unsafe Array(UnsafeBufferPointer(start: CGRPC_slice_start(&slice), count: CGRPC_slice_length(&slice)))
}

private func text(of slice: grpc_slice) -> String {
    String(decoding: unsafe bytes(of: slice), as: UTF8.self)
}
