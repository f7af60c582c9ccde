// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HTTPTransport
import HealthMonitorTestKit
import Testing

/// Timeouts that have to pass are short, those that must not are an hour.
@Suite(.timeLimit(.minutes(50))) struct HTTPTimeoutTests {
    @Test(arguments: [true, false])
    func `the total timeout ends a transfer, and the server notices`(overTLS: Bool) async throws {
        let (ends, ended) = AsyncStream.makeStream(of: Void.self)
        let handler: TestHTTPServer.Handler = { request in
            if request.path == "/silent" {
                await forever()
                ended.yield()
            }
            return TestHTTPResponse()
        }
        let run: @Sendable (HTTPClient, String) async throws -> Void = { client, url in
            // Connect before the timeout starts.
            _ = try await client.execute(HTTPRequest(url: url)).body.collect(upTo: 0)
            let request = HTTPRequest(url: url + "/silent", timeouts: .init(total: .milliseconds(500)))
            let error = await #expect(throws: HTTPError.self) { try await client.execute(request) }
            #expect(error?.code == .timeout)
            #expect(error?.message.contains("not complete after 0.5 seconds") == true, "\(String(describing: error))")
            for await _ in ends { break }
        }
        if overTLS { try await withTLSServer(handler, run) } else { try await withPlainServer(handler, run) }
    }

    @Test func `the idle timeout ends a silent transfer`() async throws {
        try await withPlainServer { _ in
            TestHTTPResponse(
                body: .stream { writer in
                    try await writer.write([1])
                    await forever()
                }
            )
        } _: { client, url in
            let timeouts = HTTPRequest.Timeouts(idle: .seconds(2), total: .seconds(3600))
            let request = HTTPRequest(url: url, delivery: .streamed, timeouts: timeouts)
            let error = await #expect(throws: HTTPError.self) {
                for try await _ in try await client.execute(request).body {}
            }
            #expect(error?.code == .timeout)
            #expect(error?.message.contains("nothing received for 2.0 seconds") == true)
        }
    }

    enum Limit: CaseIterable {
        case connect, idle, total
    }

    /// Nothing of the request was sent: not while the server drops SYNs, nor while it does not take part in the TLS
    /// handshake.
    @Test(arguments: Limit.allCases, [true, false])
    func `a timeout before there is a connection is a failed connection`(limit: Limit, overTLS: Bool) async throws {
        let short = Duration.milliseconds(200)
        try await withSilentListener(acceptsHandshakes: overTLS) { port in
            try await withClient(connectTimeout: limit == .connect ? short : .seconds(3600)) { client in
                var request = HTTPRequest(url: "\(overTLS ? "https" : "http")://127.0.0.1:\(port)/")
                switch limit {
                case .connect: break
                case .idle: request.timeouts.idle = short
                case .total: request.timeouts.total = short
                }
                let error = await #expect(throws: HTTPError.self) { try await client.execute(request).status }
                #expect(error?.code == .connect, "\(String(describing: error))")
            }
        }
    }

    @Test func `the idle timeout can be changed during a transfer`() async throws {
        let (changed, change) = AsyncStream.makeStream(of: Void.self)
        try await withPlainServer { _ in
            TestHTTPResponse(
                body: .stream { writer in
                    try await writer.write([1])
                    for await _ in changed { break }
                    try await writer.write([2])
                    await forever()
                }
            )
        } _: { client, url in
            let timeouts = HTTPRequest.Timeouts(idle: .seconds(3600))
            let request = HTTPRequest(url: url, delivery: .streamed, timeouts: timeouts)
            let error = await #expect(throws: HTTPError.self) {
                let body = try await client.execute(request).body
                var bytes = body.makeAsyncIterator()
                _ = try await bytes.next()
                body.idleTimeout = .milliseconds(200)
                change.yield()
                while try await bytes.next() != nil {}
            }
            #expect(error?.message.contains("nothing received for 0.2 seconds") == true)
        }
    }
}
