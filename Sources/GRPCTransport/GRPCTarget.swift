// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// An address as gRPC core takes it.
///
/// Source: gRPC, "gRPC Name Resolution".
struct GRPCTarget: Sendable, Hashable {
    /// What gRPC core is given.
    let uri: String
    /// Whether it names a Unix domain socket.
    let isUnixSocket: Bool

    /// Takes what gRPC core takes, and a bare path for a Unix domain socket.
    init(_ address: String) {
        if address.hasPrefix("/") {
            uri = "unix://" + address
        } else {
            uri = address
        }
        isUnixSocket = uri.hasPrefix("unix:")
    }
}
