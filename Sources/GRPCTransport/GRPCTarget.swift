// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// An address as gRPC core takes it.
///
/// Source: gRPC, "gRPC Name Resolution".
struct GRPCTarget: Sendable, Hashable {
    /// The most bytes of a Unix domain socket's path: `sun_path` of unix(7) without its final zero.
    private static let maximumPathLength = 107

    /// What gRPC core is given.
    let uri: String
    /// Whether it names a Unix domain socket.
    let isUnixSocket: Bool

    /// Takes what gRPC core takes, and a bare path for a Unix domain socket.
    ///
    /// - Throws: InvalidArgument for an address at which there can never be anything; gRPC core would accept it and end
    ///   each call with an Unknown that does not say why.
    init(_ address: String) throws(GRPCError) {
        guard !address.isEmpty else {
            throw Self.invalid("the address is empty: give one like unix:///run/csi/socket")
        }
        uri = address.hasPrefix("/") ? "unix://" + address : address
        isUnixSocket = uri.hasPrefix("unix:")
        guard isUnixSocket else { return }

        let hasAuthority = uri.hasPrefix("unix://")
        let path = uri.dropFirst(hasAuthority ? "unix://".count : "unix:".count)
        guard !path.isEmpty else {
            throw Self.invalid("\(address) has no path: give one like unix:///run/csi/socket")
        }
        guard !hasAuthority || path.hasPrefix("/") else {
            throw Self.invalid("\(address) names a host: give unix:///absolute/path or unix:relative/path")
        }
        guard path.utf8.count <= Self.maximumPathLength else {
            throw Self.invalid(
                "the socket path \(path) has \(path.utf8.count) bytes: choose one of at most \(Self.maximumPathLength)"
            )
        }
    }

    private static func invalid(_ message: String) -> GRPCError {
        GRPCError(code: .invalidArgument, message: message)
    }
}
