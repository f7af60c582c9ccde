// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// The address of a server in the syntax of gRPC core.
///
/// Source: gRPC, "gRPC Name Resolution".
struct GRPCTarget: Sendable, Hashable {
    /// The longest path of a Unix domain socket in bytes: `sun_path` of unix(7) without its terminating zero.
    private static let maximumPathLength = 107

    /// The address as gRPC core parses it; a socket path that was given alone has the prefix `unix://`.
    let uri: String
    let isUnixSocket: Bool

    /// - Parameter address: an address in the syntax of gRPC core, or the absolute path of a Unix domain socket.
    /// - Throws: InvalidArgument, when `address` is empty, or is that of a Unix domain socket and has no path, a host,
    ///   or a path of more than 107 bytes. gRPC core would accept it, and end each call with Unknown and without a
    ///   reason.
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

/// Checks the syntax of a server's address, without connecting.
///
/// - Parameter address: as for ``GRPCChannel/init(target:configuration:)``.
/// - Throws: InvalidArgument, when `address` is empty, or is that of a Unix domain socket and has no path, a host, or a
///   path of more than 107 bytes. The message states what is wrong and what to write instead.
package func checkTarget(_ address: String) throws(GRPCError) {
    _ = try GRPCTarget(address)
}
