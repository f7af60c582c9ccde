// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Foundation
import HealthMonitorTestKit
import Testing

@testable import HTTPTransport

/// Requests through a proxy.
@Suite(.timeLimit(.minutes(50))) struct ProxyTests {
    @Test func `an HTTP proxy receives the request with the user of its URL`() async throws {
        try await TestHTTPServer.withServer { request in
            let lines = [request.header("Host"), request.header("Proxy-Authorization")].map { $0 ?? "" }
            return TestHTTPResponse(bytes: Array(lines.joined(separator: "\n").utf8))
        } _: { server in
            let proxy = try ProxyURL("http://user:pass%20word@127.0.0.1:\(server.port)")
            try await withClient(proxy: proxy) { client in
                let response = try await client.execute(HTTPRequest(url: "http://api.invalid:8080/path"))
                let body = try await response.body.collect(upTo: 1000)
                let authorization = "Basic \(Data("user:pass word".utf8).base64EncodedString())"
                #expect(String(decoding: body, as: UTF8.self) == "api.invalid:8080\n\(authorization)")
            }
        }
    }

    /// `ATYP` 3 of RFC 1928. With libcurl's `socks5` scheme the client would resolve `api.invalid` itself, and fail.
    @Test func `a SOCKS5 proxy receives the server's name`() async throws {
        let proxy = try SOCKSProxy()
        try await withClient(proxy: ProxyURL("socks5://127.0.0.1:\(proxy.port)")) { client in
            await #expect(throws: HTTPError.self) {
                try await client.execute(HTTPRequest(url: "https://api.invalid:6443/"))
            }
        }
        #expect(try await proxy.request() == [5, 1, 0, 3, 11] + Array("api.invalid".utf8) + [0x19, 0x2B])
    }
}

/// A SOCKS5 proxy that reads one request and refuses it.
private final class SOCKSProxy: Sendable {
    let port: UInt16
    private let requests: AsyncStream<[UInt8]>

    init() throws {
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        // bind(2), getsockname(2): read and write at most `size` bytes.
        let result = unsafe withUnsafeMutablePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                unsafe bind(listener, pointer, size) == 0 && listen(listener, 1) == 0
                    && getsockname(listener, pointer, &size) == 0
            }
        }
        try #require(result)
        port = address.sin_port.bigEndian
        let (requests, continuation) = AsyncStream.makeStream(of: [UInt8].self)
        self.requests = requests
        Thread.detachNewThread {
            let connection = accept(listener, nil, nil)
            var buffer = [UInt8](repeating: 0, count: 300)
            // Greeting, "no authentication", request, "general failure".
            unsafe _ = recv(connection, &buffer, buffer.count, 0)
            unsafe _ = send(connection, [5, 0] as [UInt8], 2, Int32(MSG_NOSIGNAL))
            let count = unsafe recv(connection, &buffer, buffer.count, 0)
            unsafe _ = send(connection, [5, 1, 0, 1, 0, 0, 0, 0, 0, 0] as [UInt8], 10, Int32(MSG_NOSIGNAL))
            close(connection)
            close(listener)
            continuation.yield(Array(buffer.prefix(max(0, count))))
        }
    }

    func request() async throws -> [UInt8] {
        for await request in requests { return request }
        throw CancellationError()
    }
}
