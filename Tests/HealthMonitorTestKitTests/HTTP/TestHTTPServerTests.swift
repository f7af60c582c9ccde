// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Foundation
import HTTPTransport
import HealthMonitorTestKit
import Synchronization
import Testing

/// Back-pressure, resets and the verification of certificates are in HTTPTransport's tests, which use this server.
@Suite(.timeLimit(.minutes(50))) struct TestHTTPServerTests {
    let authority: TestCertificateAuthority

    init() throws {
        authority = try TestCertificateAuthority()
    }

    private var tls: TestHTTPServer.Configuration {
        get throws { .init(identity: try authority.issueServer(names: ["127.0.0.1"])) }
    }

    private func withClient<R>(
        certificate: TestIdentity? = nil,
        _ body: (HTTPClient) async throws -> R
    ) async throws -> R {
        var tls = TLSConfiguration(certificateAuthorities: Array(authority.certificatePEM.utf8))
        tls.clientCertificate = certificate.map {
            .init(certificate: Array($0.certificatePEM.utf8), privateKey: Array($0.privateKeyPEM.utf8))
        }
        let client = try HTTPClient(
            configuration: .init(tls: tls, userAgent: "test", connectTimeout: .seconds(3600))
        )
        do {
            let result = try await body(client)
            await client.shutdown()
            return result
        } catch {
            await client.shutdown()
            throw error
        }
    }

    /// kubectl speaks HTTP/2 with it: ``KubectlTests``.
    @Test(arguments: [true, false])
    func `the handler sees the whole request`(overTLS: Bool) async throws {
        let seen = Mutex<TestHTTPRequest?>(nil)
        try await TestHTTPServer.withServer(overTLS ? tls : .init()) { request in
            seen.withLock { $0 = request }
            return TestHTTPResponse(status: 201, headers: ["X-Test": "yes"], bytes: Array("made".utf8))
        } _: { server in
            try await withClient { client in
                let response = try await client.execute(
                    HTTPRequest(
                        method: "PUT",
                        url: server.url + "/a%20b/c?x=1%262&flag&y=a+b%3D",
                        headers: ["X-Ask": "please"],
                        body: [UInt8](repeating: 7, count: 100_000)
                    )
                )
                #expect(response.status == 201)
                #expect(response.headers["x-test"] == "yes")
                let body = try await response.body.collect(upTo: 100)
                #expect(body == Array("made".utf8))
            }
        }
        let request = try #require(seen.withLock { $0 })
        #expect(request.method == "PUT")
        #expect(request.path == "/a%20b/c")
        #expect(request.query.map { "\($0.name):\($0.value)" } == ["x:1&2", "flag:", "y:a b="])
        #expect(request.header("x-ASK") == "please")
        #expect(request.body == [UInt8](repeating: 7, count: 100_000))
        #expect(!request.isHTTP2)
        #expect(request.peerCommonName == nil)
    }

    @Test(arguments: [HTTPRequest.Delivery.buffered, .streamed])
    func `the handler sees the client's common name`(delivery: HTTPRequest.Delivery) async throws {
        var configuration = try tls
        configuration.clientAuthority = authority
        try await TestHTTPServer.withServer(configuration) { request in
            TestHTTPResponse(bytes: Array((request.peerCommonName ?? "nobody").utf8))
        } _: { server in
            try await withClient(certificate: authority.issueClient(commonName: "system:monitor")) { client in
                let response = try await client.execute(HTTPRequest(url: server.url, delivery: delivery))
                let body = try await response.body.collect(upTo: 100)
                #expect(body == Array("system:monitor".utf8))
            }
        }
    }

    @Test func `a client of another authority is refused`() async throws {
        var configuration = try tls
        configuration.clientAuthority = authority
        let stranger = try TestCertificateAuthority().issueClient(commonName: "stranger")
        try await TestHTTPServer.withServer(configuration) { _ in
            TestHTTPResponse()
        } _: { server in
            try await withClient(certificate: stranger) { client in
                let error = await #expect(throws: HTTPError.self) {
                    try await client.execute(HTTPRequest(url: server.url))
                }
                #expect(error?.code != .timeout)
            }
        }
    }

    @Test func `a body above the limit does not reach the handler`() async throws {
        let sizes = Mutex<[Int]>([])
        try await TestHTTPServer.withServer { request in
            sizes.withLock { $0.append(request.body.count) }
            return TestHTTPResponse()
        } _: { server in
            try await withClient { client in
                let most = [UInt8](repeating: 0, count: 16 << 20)
                _ = try await client.execute(HTTPRequest(method: "POST", url: server.url, body: most))
                await #expect(throws: HTTPError.self) {
                    try await client.execute(HTTPRequest(method: "POST", url: server.url, body: most + [0]))
                }
            }
        }
        #expect(sizes.withLock { $0 } == [16 << 20])
    }

    @Test(arguments: [("HEAD", 200), ("DELETE", 204)])
    func `no body is sent where HTTP forbids one`(method: String, status: Int) async throws {
        try await TestHTTPServer.withServer { _ in
            TestHTTPResponse(status: status, bytes: [1, 2, 3])
        } _: { server in
            try await withClient { client in
                // The client would take a stray body for the beginning of the second response.
                for _ in 0..<2 {
                    let response = try await client.execute(HTTPRequest(method: method, url: server.url))
                    #expect(response.status == status)
                    let body = try await response.body.collect(upTo: 100)
                    #expect(body == [])
                }
            }
        }
    }

    @Test func `a handler that throws cuts its own connection only`() async throws {
        let (gate, opener) = AsyncStream.makeStream(of: Void.self)
        try await TestHTTPServer.withServer(tls) { request in
            if request.path == "/cut" { throw CancellationError() }
            return TestHTTPResponse(
                body: .stream { writer in
                    try await writer.write([1])
                    if request.path == "/cut-later" { throw CancellationError() }
                    for await _ in gate {}
                    try await writer.write([2])
                }
            )
        } _: { server in
            try await withClient { client in
                // Another connection stays open.
                let other = try await client.execute(HTTPRequest(url: server.url, delivery: .streamed))
                await #expect(throws: HTTPError.self) {
                    try await client.execute(HTTPRequest(url: server.url + "/cut"))
                }
                await #expect(throws: HTTPError.self) {
                    try await client.execute(HTTPRequest(url: server.url + "/cut-later")).body.collect(upTo: 10)
                }
                opener.finish()
                let body = try await other.body.collect(upTo: 10)
                #expect(body == [1, 2])
            }
        }
    }

    @Test(arguments: [true, false])
    func `the end of a server ends its streams`(overTLS: Bool) async throws {
        let isEnded = Mutex(false)
        try await withClient { client in
            let body = try await TestHTTPServer.withServer(overTLS ? tls : .init()) { _ in
                TestHTTPResponse(
                    body: .stream { writer in
                        defer { isEnded.withLock { $0 = true } }
                        try await writer.write([1])
                        await untilCancelled()
                    }
                )
            } _: { server in
                let body = try await client.execute(HTTPRequest(url: server.url, delivery: .streamed)).body
                #expect(!isEnded.withLock { $0 })
                return body
            }
            #expect(isEnded.withLock { $0 }, "the handler has ended when the server has")
            await #expect(throws: HTTPError.self) { try await body.collect(upTo: 10) }
        }
    }

    /// A client that has a whole response sends its next request on the connection at once.
    @Test func `responses on one connection do not mix`() async throws {
        try await TestHTTPServer.withServer { request in
            let bytes = Array(request.path.utf8)
            if request.path.hasSuffix("1") { return TestHTTPResponse(bytes: bytes) }
            return TestHTTPResponse(body: .stream { try await $0.write(bytes) })
        } _: { server in
            try await withClient { client in
                try await withThrowingTaskGroup { group in
                    for worker in 0..<64 {
                        group.addTask {
                            for number in 0..<60 {
                                let path = "/\(worker)/\(number)/\(number % 2)"
                                let response = try await client.execute(HTTPRequest(url: server.url + path))
                                let body = try await response.body.collect(upTo: 1000)
                                #expect(String(decoding: body, as: UTF8.self) == path)
                            }
                        }
                    }
                    try await group.waitForAll()
                }
            }
        }
    }

    @Test func `the server ends when its body throws`() async throws {
        struct Failure: Error {}
        await #expect(throws: Failure.self) {
            try await TestHTTPServer.withServer { _ in
                TestHTTPResponse()
            } _: { _ in
                throw Failure()
            }
        }
    }

    @Test func `a server can listen again on its port`() async throws {
        // Below the kernel's range of ephemeral ports.
        let port = 20_000 + Int(getpid()) % 10_000
        for status in [200, 418] {
            try await TestHTTPServer.withServer(.init(port: port)) { _ in
                TestHTTPResponse(status: status)
            } _: { server in
                #expect(server.port == port)
                try await withClient { client in
                    let response = try await client.execute(HTTPRequest(url: server.url))
                    #expect(response.status == status)
                }
            }
        }
    }
}

private func untilCancelled() async {
    let (stream, continuation) = AsyncStream.makeStream(of: Never.self)
    for await _ in stream {}
    continuation.finish()
}
