// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import CGRPC

/// The state of a channel's connection.
///
/// Source: gRPC, "gRPC Connectivity Semantics and API".
package enum ConnectivityState: Sendable, Hashable {
    /// Not connected, and not connecting before the next call.
    case idle
    case connecting
    case ready
    /// The last attempt to connect failed; the next one follows after a back-off.
    case transientFailure
    case shutdown

    init(_ state: grpc_connectivity_state) {
        self =
            switch state {
            case GRPC_CHANNEL_IDLE: .idle
            case GRPC_CHANNEL_CONNECTING: .connecting
            case GRPC_CHANNEL_READY: .ready
            case GRPC_CHANNEL_TRANSIENT_FAILURE: .transientFailure
            default: .shutdown
            }
    }

    var coreState: grpc_connectivity_state {
        switch self {
        case .idle: GRPC_CHANNEL_IDLE
        case .connecting: GRPC_CHANNEL_CONNECTING
        case .ready: GRPC_CHANNEL_READY
        case .transientFailure: GRPC_CHANNEL_TRANSIENT_FAILURE
        case .shutdown: GRPC_CHANNEL_SHUTDOWN
        }
    }
}
