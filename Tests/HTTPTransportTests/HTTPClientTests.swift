// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HTTPTransport
import HealthMonitorTestKit
import Synchronization
import Testing

@Suite(.timeLimit(.minutes(50))) struct HTTPClientTests {
    @Test(arguments: ["GET", "POST", "PUT", "PATCH", "DELETE"])
    func `method and body arrive`(method: String) async throws {
        try await withPlainServer { request in
            TestHTTPResponse(status: 201, bytes: Array("\(request.method) \(request.path) ".utf8) + request.body)
        } _: { client, url in
            let body: [UInt8]? = method == "GET" || method == "DELETE" ? nil : [0, 1, 255]
            let response = try await client.execute(HTTPRequest(method: method, url: url + "/a/b", body: body))
            #expect(response.status == 201)
            let received = try await response.body.collect(upTo: 1000)
            #expect(received == Array("\(method) /a/b ".utf8) + (body ?? []))
        }
    }

    @Test func `request and response headers arrive`() async throws {
        try await withPlainServer { request in
            let names = ["user-agent", "accept", "content-type", "expect"]
            let seen = names.map { request.header($0) ?? "-" }.joined(separator: "|")
            return TestHTTPResponse(headers: ["X-Seen": seen, "X-Empty": ""])
        } _: { client, url in
            let plain = try await client.execute(
                HTTPRequest(method: "POST", url: url, headers: ["Accept": "text/plain"], body: [1])
            )
            #expect(plain.headers["x-seen"] == "test/1|text/plain|-|-")
            #expect(plain.headers["x-empty"] == "")
            #expect(plain.headers["x-missing"] == nil)

            let typed = try await client.execute(
                HTTPRequest(method: "POST", url: url, headers: ["Content-Type": "application/json"], body: [1])
            )
            #expect(typed.headers["X-Seen"] == "test/1|*/*|application/json|-")
        }
    }

    @Test(arguments: [200, 204, 301, 404, 500])
    func `no status is an error and no redirect is followed`(status: Int) async throws {
        try await withPlainServer { _ in
            TestHTTPResponse(status: status, headers: ["Location": "/elsewhere"])
        } _: { client, url in
            let response1 = try await client.execute(HTTPRequest(url: url))
            #expect(response1.status == status)
        }
    }

    /// The server prefers HTTP/2.
    @Test func `the protocol is HTTP/1.1`() async throws {
        try await withTLSServer { request in
            TestHTTPResponse(bytes: [request.isHTTP2 ? 2 : 1])
        } _: { client, url in
            let response = try await client.execute(HTTPRequest(url: url))
            let bytes = try await response.body.collect(upTo: 1)
            #expect(bytes == [1])
        }
    }

    @Test(arguments: [true, false])
    func `many requests run concurrently`(overTLS: Bool) async throws {
        let handler: TestHTTPServer.Handler = { request in TestHTTPResponse(bytes: Array(request.path.utf8)) }
        let run: @Sendable (HTTPClient, String) async throws -> Int = { client, url in
            try await withThrowingTaskGroup(of: Bool.self) { group in
                for number in 0..<100 {
                    group.addTask {
                        // A hundred TLS handshakes take long on a busy machine.
                        let timeouts = HTTPRequest.Timeouts(total: .seconds(3600))
                        let request = HTTPRequest(url: "\(url)/\(number)", timeouts: timeouts)
                        let response = try await client.execute(request)
                        return try await response.body.collect(upTo: 100) == Array("/\(number)".utf8)
                    }
                }
                return try await group.reduce(into: 0) { count, isRight in count += isRight ? 1 : 0 }
            }
        }
        let right = overTLS ? try await withTLSServer(handler, run) : try await withPlainServer(handler, run)
        #expect(right == 100)
    }

    @Test(.timeLimit(.minutes(50)), arguments: [true, false])
    func `a request does not wait for another one's response`(overTLS: Bool) async throws {
        let (arrivals, arrived) = AsyncStream.makeStream(of: Void.self)
        let handler: TestHTTPServer.Handler = { request in
            if request.path == "/first" {
                // The response waits for the second request.
                for await _ in arrivals { break }
            } else {
                arrived.yield()
            }
            return TestHTTPResponse()
        }
        let run: @Sendable (HTTPClient, String) async throws -> [Int] = { client, url in
            async let first = client.execute(HTTPRequest(url: url + "/first")).status
            async let second = client.execute(HTTPRequest(url: url + "/second")).status
            return try await [first, second]
        }
        let statuses = overTLS ? try await withTLSServer(handler, run) : try await withPlainServer(handler, run)
        #expect(statuses == [200, 200])
    }

    @Test func `requests are served while a stream is open`() async throws {
        try await withTLSServer { request in
            if request.path != "/watch" { return TestHTTPResponse(bytes: [1]) }
            return TestHTTPResponse(
                body: .stream { writer in
                    try await writer.write([7])
                    await forever()
                }
            )
        } _: { client, url in
            var watch = try await client.execute(HTTPRequest(url: url + "/watch", delivery: .streamed)).body
                .makeAsyncIterator()
            let chunk4 = try await watch.next()
            #expect(chunk4 == [7])
            for _ in 0..<10 {
                let response = try await client.execute(HTTPRequest(url: url + "/get"))
                let bytes5 = try await response.body.collect(upTo: 1)
                #expect(bytes5 == [1])
            }
        }
    }

    @Test(arguments: [true, false])
    func `requests follow one another, whether their bodies are read or not`(hasBody: Bool) async throws {
        try await withTLSServer { _ in
            TestHTTPResponse(bytes: hasBody ? [1, 2, 3] : [])
        } _: { client, url in
            for _ in 0..<30 {
                let dropped = try await client.execute(HTTPRequest(url: url)).status
                #expect(dropped == 200)
                let read = try await client.execute(HTTPRequest(url: url)).body.collect(upTo: 3)
                #expect(read.count == (hasBody ? 3 : 0))
            }
        }
    }

    /// On a reused connection that ends without a response, libcurl sends the request again, whatever its method: lib/
    /// transfer.c of 7.88.1, `Curl_retry_request`. When that is refused, the first server may have applied it.
    @Test func `a request that was sent before the connection was refused is no connect error`() async throws {
        let (received, continuation) = AsyncStream.makeStream(of: Void.self)
        try await TestHTTPServer.withServer { request in
            guard request.method == "POST" else { return TestHTTPResponse() }
            continuation.yield()
            let (never, end) = AsyncStream.makeStream(of: Never.self)
            for await _ in never {}
            end.finish()
            throw CancellationError()
        } _: { server in
            try await withClient { client in
                _ = try await client.execute(HTTPRequest(url: server.url))
                var request = HTTPRequest(url: server.url)
                request.method = "POST"
                async let failure: HTTPError? = {
                    do throws(HTTPError) {
                        _ = try await client.execute(request)
                        return nil
                    } catch {
                        return error
                    }
                }()
                for await _ in received { break }
                await server.stopListening()
                let error = await failure
                #expect(error?.code == .transport, "\(String(describing: error))")
            }
        }
    }

    @Test func `a refused connection is a connect error, without the query in its message`() async throws {
        try await withClient { client in
            let error = await #expect(throws: HTTPError.self) {
                try await client.execute(HTTPRequest(url: "http://127.0.0.1:1/path?token=secret"))
            }
            #expect(error?.code == .connect)
            #expect(error?.message.contains("http://127.0.0.1:1/path") == true)
            #expect(error?.message.contains("secret") == false)
        }
    }

    @Test(arguments: ["", "ftp://127.0.0.1/", "http://[::1", "file:///etc/passwd"])
    func `a URL that is not HTTP is refused`(url: String) async throws {
        try await withClient { client in
            let error = await #expect(throws: HTTPError.self) { try await client.execute(HTTPRequest(url: url)) }
            #expect(error?.code == .invalidRequest, "\(String(describing: error))")
        }
    }

    @Test func `a line end in a header is refused`() async throws {
        try await withPlainServer { _ in
            TestHTTPResponse()
        } _: { client, url in
            await #expect(throws: HTTPError.self) {
                try await client.execute(HTTPRequest(url: url, headers: ["X-A": "b\r\nX-C: d"]))
            }
        }
    }

    /// The request may have been served. Code.invalidRequest would mean that it was never sent.
    @Test func `a response that is not HTTP is a transport error, not an invalid request`() async throws {
        let (arrivals, arrived) = AsyncStream.makeStream(of: Void.self)
        try await withPlainServer { request in
            if request.path == "/second" {
                arrived.yield()
                await forever()
            }
            // The body is longer than `Content-Length`; the rest arrives as the response to the next request.
            return TestHTTPResponse(
                headers: ["Content-Length": "1"],
                body: .stream { writer in
                    try await writer.write([1])
                    for await _ in arrivals { break }
                    try await writer.write(Array("more of it\r\n".utf8))
                }
            )
        } _: { client, url in
            let first = try await client.execute(HTTPRequest(url: url + "/first")).body.collect(upTo: 10)
            #expect(first == [1])
            let error = await #expect(throws: HTTPError.self) {
                try await client.execute(HTTPRequest(url: url + "/second"))
            }
            #expect(error?.code == .transport, "\(String(describing: error))")
            #expect(error?.message.contains("HTTP/0.9") == true)
        }
    }

    @Test func `a request's description has no secret`() {
        let request = HTTPRequest(
            method: "PUT",
            url: "https://user:pass@host:1/a/b@c?token=secret#part",
            headers: ["Authorization": "Bearer secret"]
        )
        #expect(request.description == "PUT https://host:1/a/b@c")
    }

    @Test func `requests on one connection share no options`() async throws {
        try await withPlainServer { request in
            let seen = [request.method, request.header("x-a") ?? "-", request.header("content-type") ?? "-"]
            return TestHTTPResponse(headers: ["X-Seen": seen.joined(separator: " ")], bytes: request.body)
        } _: { client, url in
            let headers: HTTPHeaders = ["X-A": "a", "Content-Type": "text/plain"]
            let requests: [(HTTPRequest, seen: String, body: [UInt8])] = [
                (HTTPRequest(method: "POST", url: url, headers: headers, body: [1, 2]), "POST a text/plain", [1, 2]),
                (HTTPRequest(url: url), "GET - -", []),
                (HTTPRequest(method: "HEAD", url: url, headers: headers), "HEAD a text/plain", []),
                (HTTPRequest(method: "PATCH", url: url, body: [3]), "PATCH - -", [3]),
                (HTTPRequest(method: "DELETE", url: url), "DELETE - -", []),
                (HTTPRequest(method: "PUT", url: url, body: []), "PUT - -", []),
                (HTTPRequest(url: url), "GET - -", []),
            ]
            for (request, seen, body) in requests {
                let response = try await client.execute(request)
                #expect(response.headers["x-seen"] == seen)
                let received = try await response.body.collect(upTo: 10)
                #expect(received == body, "\(seen)")
            }
        }
    }

    /// libcurl does so at most five times for each easy handle.
    @Test func `a request is sent again when its connection was closed, however often that happens`() async throws {
        let count = Atomic(0)
        try await withPlainServer { _ in
            // The server closes each connection at its second request.
            if count.add(1, ordering: .relaxed).newValue.isMultiple(of: 2) { throw CancellationError() }
            return TestHTTPResponse(bytes: [1])
        } _: { client, url in
            for _ in 0..<20 {
                let body = try await client.execute(HTTPRequest(url: url)).body.collect(upTo: 1)
                #expect(body == [1])
            }
        }
        #expect(count.load(ordering: .relaxed) == 39)
    }

    @Test func `requests after the shutdown fail`() async throws {
        let client = try HTTPClient(configuration: .init(userAgent: "test"))
        await client.shutdown()
        await client.shutdown()
        let error = await #expect(throws: HTTPError.self) {
            try await client.execute(HTTPRequest(url: "http://127.0.0.1:1/"))
        }
        #expect(error?.code == .shutdown)
    }

    /// With more requests in flight than two kinds of reports have in an outage, 32 each, and the watches beside them.
    @Test func `connections are kept for later requests`() async throws {
        let count = 100
        let meeting = Meeting(count)
        try await TestHTTPServer.withServer { _ in
            await meeting.join()
            return TestHTTPResponse()
        } _: { server in
            try await withClient { client in
                for _ in 0..<3 {
                    try await withThrowingTaskGroup { group in
                        for _ in 0..<count {
                            group.addTask {
                                let response = try await client.execute(HTTPRequest(url: server.url))
                                _ = try await response.body.collect(upTo: 1)
                            }
                        }
                        try await group.waitForAll()
                    }
                }
            }
            #expect(server.acceptedConnections == count)
        }
    }
}

/// Holds its callers until `count` of them have arrived, again and again.
private actor Meeting {
    private let count: Int
    private var waiting: [CheckedContinuation<Void, Never>] = []

    init(_ count: Int) {
        self.count = count
    }

    func join() async {
        await withCheckedContinuation { continuation in
            waiting.append(continuation)
            guard waiting.count == count else { return }
            for continuation in waiting { continuation.resume() }
            waiting = []
        }
    }
}
