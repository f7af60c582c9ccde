// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Glibc
import Testing

/// Runs `body` with the port of a socket on 127.0.0.1 that listens and on which nothing is accepted.
///
/// - Parameter acceptsHandshakes: whether the kernel completes TCP handshakes. Otherwise the queue of connections to be
///   accepted is full, and Linux drops SYNs (`tcp_conn_request` in net/ipv4/tcp_input.c).
func withSilentListener(acceptsHandshakes: Bool, _ body: (_ port: UInt16) async throws -> Void) async throws {
    let listener = try streamSocket()
    var sockets = [listener]
    defer { for socket in sockets { close(socket) } }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = INADDR_LOOPBACK.bigEndian
    try #require(unsafe with(&address) { unsafe bind(listener, $0, $1) } == 0)
    // listen(2): with a backlog of 0, one connection.
    try #require(listen(listener, acceptsHandshakes ? 16 : 0) == 0)
    try #require(
        unsafe with(&address) { pointer, size in
            var size = size
            return unsafe getsockname(listener, pointer, &size)
        } == 0
    )
    if !acceptsHandshakes {
        let first = try streamSocket()
        sockets.append(first)
        try #require(unsafe with(&address) { unsafe connect(first, $0, $1) } == 0)
        // In case the queue takes more. These connections are not waited for.
        for _ in 0..<4 {
            let socket = try streamSocket(SOCK_NONBLOCK.rawValue)
            sockets.append(socket)
            _ = unsafe with(&address) { unsafe connect(socket, $0, $1) }
        }
    }
    try await body(address.sin_port.bigEndian)
}

private func streamSocket(_ flags: UInt32 = 0) throws -> CInt {
    let descriptor = socket(AF_INET, CInt(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | flags), 0)
    try #require(descriptor >= 0)
    return descriptor
}

/// - Parameter body: uses the pointer within the call only.
private func with(_ address: inout sockaddr_in, _ body: (UnsafeMutablePointer<sockaddr>, socklen_t) -> CInt) -> CInt {
    unsafe withUnsafeMutablePointer(to: &address) { pointer in
        unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            unsafe body($0, socklen_t(MemoryLayout<sockaddr_in>.size))
        }
    }
}
