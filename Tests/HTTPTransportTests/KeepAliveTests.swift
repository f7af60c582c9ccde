// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Glibc
import HTTPTransport
import HealthMonitorTestKit
import Testing

@Suite(.timeLimit(.minutes(50))) struct KeepAliveTests {
    @Test func `a socket has the options with which a connection to a lost peer fails within 45 seconds`() async throws
    {
        try await TestHTTPServer.withServer { _ in
            TestHTTPResponse()
        } _: { server in
            try await withClient { client in
                _ = try await client.execute(HTTPRequest(url: server.url)).body.collect(upTo: 0)
                // The client keeps the connection.
                let socket = try #require(clientSocket(port: UInt16(server.port)))
                #expect(option(SO_KEEPALIVE, level: SOL_SOCKET, of: socket) == 1)
                #expect(option(TCP_KEEPIDLE, of: socket) == 15)
                #expect(option(TCP_KEEPINTVL, of: socket) == 5)
                #expect(option(TCP_KEEPCNT, of: socket) == 3)
                #expect(option(TCP_USER_TIMEOUT, of: socket) == 30_000)
            }
        }
    }

    /// The socket of this process whose peer has this port.
    private func clientSocket(port: UInt16) -> CInt? {
        (0..<65_536).first { descriptor in
            var address = sockaddr_in()
            var size = socklen_t(MemoryLayout<sockaddr_in>.size)
            // getpeername(2) writes at most `size` bytes, and fails for anything but a connected socket.
            let result = unsafe withUnsafeMutablePointer(to: &address) { pointer in
                unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    unsafe getpeername(descriptor, $0, &size)
                }
            }
            return result == 0 && address.sin_family == AF_INET && address.sin_port == port.bigEndian
        }
    }

    private func option(_ option: CInt, level: CInt = CInt(IPPROTO_TCP), of socket: CInt) -> CInt? {
        var value: CInt = -1
        var size = socklen_t(MemoryLayout<CInt>.size)
        // getsockopt(2) writes an int.
        return unsafe getsockopt(socket, level, option, &value, &size) == 0 ? value : nil
    }
}
