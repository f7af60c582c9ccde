// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import CGRPC

/// Copies `bytes` into a new `grpc_byte_buffer`. The caller owns it, and frees it with `grpc_byte_buffer_destroy`.
func makeByteBuffer(_ bytes: [UInt8]) -> UnsafeMutablePointer<grpc_byte_buffer>? {
    // slice.h: copies the bytes.
    var slice = unsafe bytes.withUnsafeBytes { bytes in
        unsafe grpc_slice_from_copied_buffer(bytes.baseAddress, bytes.count)
    }
    defer { unsafe grpc_slice_unref(slice) }
    // byte_buffer.h: takes its own reference to each slice.
    return unsafe grpc_raw_byte_buffer_create(&slice, 1)
}

/// Copies the bytes of a `grpc_byte_buffer`, which stays the caller's; nil when gRPC core cannot read the buffer.
func bytes(of buffer: UnsafeMutablePointer<grpc_byte_buffer>) -> [UInt8]? {
    var reader = unsafe grpc_byte_buffer_reader()
    guard unsafe grpc_byte_buffer_reader_init(&reader, buffer) != 0 else { return nil }
    defer { unsafe grpc_byte_buffer_reader_destroy(&reader) }
    var bytes: [UInt8] = []
    unsafe bytes.reserveCapacity(grpc_byte_buffer_length(buffer))
    var slice = unsafe grpc_slice()
    while unsafe grpc_byte_buffer_reader_next(&reader, &slice) != 0 {
        unsafe append(slice, to: &bytes)
        unsafe grpc_slice_unref(slice)
    }
    return bytes
}

/// Copies a slice's bytes as text; invalid UTF-8 is replaced by U+FFFD. The slice stays the caller's.
func text(of slice: grpc_slice) -> String {
    var bytes: [UInt8] = []
    unsafe append(slice, to: &bytes)
    return String(decoding: bytes, as: UTF8.self)
}

private func append(_ slice: grpc_slice, to bytes: inout [UInt8]) {
    // A short slice holds its bytes inside the struct, so the pointer is valid only as long as this copy of it.
    var slice = unsafe slice
    unsafe bytes.append(
        contentsOf: UnsafeBufferPointer(start: CGRPC_slice_start(&slice), count: CGRPC_slice_length(&slice))
    )
}
