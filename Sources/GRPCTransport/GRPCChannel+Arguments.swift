// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import CGRPC
import Glibc

extension GRPCChannel {
    /// The limit in bytes for headers and for trailers, the status message included. With gRPC core's default of 8 KiB, a
    /// call with a longer status message ends with ResourceExhausted in place of the server's status.
    private static let maximumMetadataSize: Int32 = 2 << 20

    /// - Returns: a `grpc_channel *`, which the caller owns.
    static func makeChannel(_ target: GRPCTarget, _ configuration: Configuration) -> OpaquePointer? {
        var arguments = ChannelArguments()
        arguments.set("grpc.max_receive_message_length", configuration.maximumReceiveMessageSize)
        arguments.set("grpc.initial_reconnect_backoff_ms", configuration.initialReconnectBackoff.milliseconds)
        arguments.set("grpc.max_reconnect_backoff_ms", configuration.maximumReconnectBackoff.milliseconds)
        // grpc.min_reconnect_backoff_ms keeps its default of 20 s: in spite of its name it limits one attempt to
        // connect. A busy server has that time to accept, and a missing one is noticed at once anyway.
        arguments.set("grpc.max_metadata_size", maximumMetadataSize)
        // Without compression, which gRPC core offers by default: its size limit is for a message as it is received, not
        // for what a compressed one becomes. Bit 0 is "identity" (grpc/impl/codegen/compression_types.h).
        arguments.set("grpc.compression_enabled_algorithms_bitset", 1)
        arguments.set("grpc.per_message_decompression", 0)
        // By default an unused connection is closed after half an hour. A kept one notices when the server goes away.
        arguments.set("grpc.client_idle_timeout_ms", .max)
        // A sidecar and its driver need neither a proxy nor a service configuration from DNS.
        arguments.set("grpc.enable_http_proxy", 0)
        arguments.set("grpc.service_config_disable_resolution", 1)
        // By default gRPC core sends pings to find the window that a distant server needs: with a few calls per second,
        // one for every six calls.
        arguments.set("grpc.http2.bdp_probe", 0)
        // Channels do not share connections: each has its own connectivity state.
        arguments.set("grpc.use_local_subchannel_pool", 1)
        if target.isUnixSocket {
            // By default the authority is the percent-encoded path, which some servers reject.
            arguments.set("grpc.default_authority", "localhost")
        }
        return unsafe arguments.withUnsafeArguments { arguments in
            // grpc_security.h: the channel takes its own reference to the credentials.
            let credentials = unsafe grpc_insecure_credentials_create()
            defer { unsafe grpc_channel_credentials_release(credentials) }
            return unsafe grpc_channel_create(target.uri, credentials, arguments)
        }
    }
}

/// Names with an integer or a string. gRPC core copies them.
private struct ChannelArguments {
    private enum Value {
        case integer(Int32)
        case text(String)
    }

    private var values: [(key: String, value: Value)] = []

    mutating func set(_ key: String, _ value: Int32) {
        values.append((key, .integer(value)))
    }

    mutating func set(_ key: String, _ value: String) {
        values.append((key, .text(value)))
    }

    /// The pointer is valid only until `body` returns.
    func withUnsafeArguments<R>(_ body: (UnsafePointer<grpc_channel_args>) -> R) -> R {
        var strings: [UnsafeMutablePointer<CChar>?] = unsafe []
        defer {
            unsafe strings.forEach { unsafe free($0) }
        }
        var arguments: [grpc_arg] = unsafe []
        for (key, value) in values {
            let name = unsafe strdup(key)
            unsafe strings.append(name)
            var argument = unsafe grpc_arg()
            unsafe argument.key = name
            switch value {
            case .integer(let integer):
                unsafe argument.type = GRPC_ARG_INTEGER
                unsafe argument.value.integer = integer
            case .text(let text):
                let copy = unsafe strdup(text)
                unsafe strings.append(copy)
                unsafe argument.type = GRPC_ARG_STRING
                unsafe argument.value.string = copy
            }
            unsafe arguments.append(argument)
        }
        let count = values.count
        return unsafe arguments.withUnsafeMutableBufferPointer { buffer in
            var list = unsafe grpc_channel_args(num_args: count, args: buffer.baseAddress)
            return unsafe body(&list)
        }
    }
}

/// The deadline of a timeout that starts now, on the monotonic clock.
func deadline(after duration: Duration) -> gpr_timespec {
    let (seconds, attoseconds) = max(.zero, duration).components
    return gpr_time_add(
        gpr_now(GPR_CLOCK_MONOTONIC),
        gpr_timespec(tv_sec: seconds, tv_nsec: Int32(attoseconds / 1_000_000_000), clock_type: GPR_TIMESPAN)
    )
}

extension Duration {
    fileprivate var milliseconds: Int32 {
        let (seconds, attoseconds) = components
        return Int32(clamping: seconds * 1000 + attoseconds / 1_000_000_000_000_000)
    }
}
