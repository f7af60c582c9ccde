// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HTTPTransport
import HealthMonitorTestKit
import Synchronization
import Testing

@Suite(.timeLimit(.minutes(50))) struct HTTPBodyTests {
    @Test(arguments: [true, false])
    func `a long body arrives in order`(overTLS: Bool) async throws {
        let chunks = 200
        let handler: TestHTTPServer.Handler = { _ in
            TestHTTPResponse(
                body: .stream { writer in
                    for number in 0..<chunks {
                        try await writer.write([UInt8](repeating: UInt8(number), count: 10_000))
                    }
                }
            )
        }
        let run: @Sendable (HTTPClient, String) async throws -> Void = { client, url in
            let body = try await client.execute(HTTPRequest(url: url)).body.collect(upTo: .max)
            #expect(body == (0..<chunks).flatMap { [UInt8](repeating: UInt8($0), count: 10_000) })
        }
        if overTLS { try await withTLSServer(handler, run) } else { try await withPlainServer(handler, run) }
    }

    /// However slow the reader, the server is ahead of it by no more than the buffers of the sockets, of both HTTP
    /// stacks and of the client. The reader is slowed by a request between chunks, in which the server could write
    /// many.
    @Test(arguments: [true, false])
    func `the server waits for the reader`(overTLS: Bool) async throws {
        let total = 256 << 20
        let written = Mutex(0)
        let handler: TestHTTPServer.Handler = { request in
            if request.path == "/ping" { return TestHTTPResponse() }
            return TestHTTPResponse(
                body: .stream { writer in
                    let chunk = [UInt8](repeating: 1, count: 1 << 16)
                    for _ in 0..<(total / chunk.count) {
                        try await writer.write(chunk)
                        written.withLock { $0 += chunk.count }
                    }
                }
            )
        }
        let run: @Sendable (HTTPClient, String) async throws -> Void = { client, url in
            var received = 0
            var lead = 0
            for try await chunk in try await client.execute(HTTPRequest(url: url, delivery: .streamed)).body {
                received += chunk.count
                lead = max(lead, written.withLock { $0 } - received)
                if received < 1 << 20 { _ = try await client.execute(HTTPRequest(url: url + "/ping")) }
            }
            #expect(received == total)
            #expect(lead < total / 4, "\(lead >> 20) MiB")
        }
        if overTLS { try await withTLSServer(handler, run) } else { try await withPlainServer(handler, run) }
    }

    @Test func `a body above the limit is an error`() async throws {
        try await withPlainServer { _ in
            TestHTTPResponse(bytes: [UInt8](repeating: 0, count: 1001))
        } _: { client, url in
            let response = try await client.execute(HTTPRequest(url: url))
            let error = await #expect(throws: HTTPError.self) { try await response.body.collect(upTo: 1000) }
            #expect(error?.code == .bodyTooLarge)
            let whole = try await client.execute(HTTPRequest(url: url)).body.collect(upTo: 1001)
            #expect(whole.count == 1001)
        }
    }

    @Test func `a buffered body may have 16 MiB`() async throws {
        let limit = 16 << 20
        try await withPlainServer { request in
            TestHTTPResponse(bytes: [UInt8](repeating: 1, count: request.path == "/longer" ? limit + (1 << 20) : limit))
        } _: { client, url in
            let whole = try await client.execute(HTTPRequest(url: url)).body.collect(upTo: .max)
            #expect(whole.count == limit)
            #expect(whole.capacity < limit + (1 << 20))
            let longer = HTTPRequest(url: url + "/longer")
            let error = await #expect(throws: HTTPError.self) { try await client.execute(longer).status }
            #expect(error?.code == .bodyTooLarge)
        }
    }

    @Test func `a buffered response is returned when it is complete`() async throws {
        try await withTLSServer { _ in
            TestHTTPResponse(
                body: .stream { writer in
                    try await writer.write([1])
                    throw CancellationError()
                }
            )
        } _: { client, url in
            let error = await #expect(throws: HTTPError.self) { try await client.execute(HTTPRequest(url: url)).status }
            #expect(error?.code == .transport)
            let streamed = try await client.execute(HTTPRequest(url: url, delivery: .streamed))
            #expect(streamed.status == 200)
            let failure = await #expect(throws: HTTPError.self) { try await streamed.body.collect(upTo: 10) }
            #expect(failure?.code == .transport)
        }
    }

    /// Runs `read` with a server whose body does not end, and waits until the server has noticed that the client is
    /// gone.
    private func withEndlessBody(_ read: @Sendable (HTTPClient, String) async throws -> Void) async throws {
        let (ends, ended) = AsyncStream.makeStream(of: Void.self)
        try await withTLSServer { _ in
            TestHTTPResponse(
                body: .stream { writer in
                    defer { ended.yield() }
                    try await writer.write([1])
                    await forever()
                }
            )
        } _: { client, url in
            try await read(client, url)
            var iterator = ends.makeAsyncIterator()
            #expect(await iterator.next() != nil)
        }
    }

    @Test func `a response that is released unread cancels its transfer`() async throws {
        try await withEndlessBody { client, url in
            let response = try await client.execute(HTTPRequest(url: url, delivery: .streamed))
            #expect(response.status == 200)
        }
    }

    @Test func `a body that is released half-read cancels its transfer`() async throws {
        try await withEndlessBody { client, url in
            for try await chunk in try await client.execute(HTTPRequest(url: url, delivery: .streamed)).body {
                #expect(chunk == [1])
                break
            }
        }
    }

    @Test func `cancelling the reader cancels the transfer`() async throws {
        try await withEndlessBody { client, url in
            let (readings, reading) = AsyncStream.makeStream(of: Void.self)
            let reader = Task {
                var body = try await client.execute(HTTPRequest(url: url, delivery: .streamed)).body.makeAsyncIterator()
                _ = try await body.next()
                reading.yield()
                return try await body.next()
            }
            for await _ in readings { break }
            reader.cancel()
            let result = await reader.result
            let error = #expect(throws: HTTPError.self) { try result.get() }
            #expect(error?.code == .cancelled)
        }
    }

    @Test func `a cancelled transfer does not disturb other transfers`() async throws {
        let (go, start) = AsyncStream.makeStream(of: Void.self)
        try await withTLSServer { request in
            TestHTTPResponse(
                body: .stream { writer in
                    try await writer.write([1])
                    if request.path == "/endless" { await forever() }
                    for await _ in go { break }
                    try await writer.write([2])
                }
            )
        } _: { client, url in
            var other = try await client.execute(HTTPRequest(url: url, delivery: .streamed)).body.makeAsyncIterator()
            #expect(try await other.next() == [1])
            let endless = HTTPRequest(url: url + "/endless", delivery: .streamed)
            for try await _ in try await client.execute(endless).body { break }
            // The loop's thread executes this after the cancellation.
            let response = try await client.execute(endless)
            #expect(response.status == 200)
            start.yield()
            #expect(try await other.next() == [2])
            #expect(try await other.next() == nil)
        }
    }

    @Test func `shutdown ends transfers in flight`() async throws {
        try await withEndlessBody { client, url in
            var body = try await client.execute(HTTPRequest(url: url, delivery: .streamed)).body.makeAsyncIterator()
            _ = try await body.next()
            await client.shutdown()
            let error = await #expect(throws: HTTPError.self) { try await body.next() }
            #expect(error?.code == .shutdown)
        }
    }

    @Test func `cancelling before the head ends the request`() async throws {
        let (arrivals, arrived) = AsyncStream.makeStream(of: Void.self)
        try await withPlainServer { _ in
            arrived.yield()
            await forever()
            return TestHTTPResponse()
        } _: { client, url in
            let request = Task { try await client.execute(HTTPRequest(url: url)).status }
            for await _ in arrivals { break }
            request.cancel()
            let result = await request.result
            let error = #expect(throws: HTTPError.self) { try result.get() }
            #expect(error?.code == .cancelled)
        }
    }

    @Test func `a request in a cancelled task is not sent`() async throws {
        try await withPlainServer { _ in
            TestHTTPResponse()
        } _: { client, url in
            let request = Task {
                unsafe withUnsafeCurrentTask { unsafe $0?.cancel() }
                return try await client.execute(HTTPRequest(url: url)).status
            }
            let result = await request.result
            let error = #expect(throws: HTTPError.self) { try result.get() }
            #expect(error?.code == .cancelled)
        }
    }
}
