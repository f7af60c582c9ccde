// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Metrics
import NIOCore
import NIOPosix
import Testing

@testable import HTTPEndpoint

@Suite(.timeLimit(.minutes(50))) struct DiagnosticsEndpointTests {
    private let registry = MetricsRegistry()
    private let healthChecks = HealthChecks()
    private let pages = Pages()

    // MARK: Responses

    @Test func `metrics are served`() async throws {
        registry.gauge(MetricDescription(name: "g", help: "G.")).set(1)
        try await withEndpoint { port in
            let response = try await get("/metrics", port: port)
            #expect(response.status == "HTTP/1.1 200 OK")
            #expect(response.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8")
            #expect(response.headers["connection"] == "close")
            #expect(response.body == registry.exposition())
        }
    }

    @Test func `metrics are served in OpenMetrics to a client that prefers it`() async throws {
        try await withEndpoint { port in
            let accept = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
            let request = "GET /metrics HTTP/1.1\r\nHost: x\r\nAccept: \(accept)\r\n\r\n"
            let response = try await exchange(request, port: port)
            #expect(response.headers["content-type"] == "application/openmetrics-text; version=1.0.0; charset=utf-8")
            #expect(response.body == registry.exposition(.openMetrics))
        }
    }

    @Test func `metrics are served at the configured path only`() async throws {
        try await withEndpoint(metricsPath: "/m") { port in
            let there = try await get("/m?x=1", port: port)
            #expect(there.status == "HTTP/1.1 200 OK")
            let elsewhere = try await get("/metrics", port: port)
            #expect(elsewhere.status == "HTTP/1.1 404 Not Found")
        }
    }

    @Test func `a response larger than the socket's buffer is complete`() async throws {
        let gauge = registry.gauge(MetricDescription(name: "g", help: "G.", labelNames: ["n"]))
        for number in 0..<2000 {
            gauge.set(1, labels: [String(repeating: "x", count: 2000) + "\(number)"])
        }
        try await withEndpoint { port in
            let response = try await get("/metrics", port: port)
            #expect(response.body == registry.exposition())
            #expect(response.body.utf8.count > 4_000_000)
        }
    }

    @Test func `a health check runs for each request`() async throws {
        let results = ResultSequence([nil, "last renewal 40 s ago", nil])
        healthChecks.register(path: "/healthz/x") { results.next() }
        try await withEndpoint { port in
            let healthy = try await get("/healthz/x", port: port)
            #expect(healthy.status == "HTTP/1.1 200 OK")
            #expect(healthy.body == "ok")
            let failing = try await get("/healthz/x", port: port)
            #expect(failing.status == "HTTP/1.1 500 Internal Server Error")
            #expect(failing.body == "internal server error: last renewal 40 s ago\n")
            let status = try await get("/healthz/x", port: port).status
            #expect(status == "HTTP/1.1 200 OK")
        }
    }

    @Test func `HEAD has the headers of GET and no body`() async throws {
        healthChecks.register(path: "/healthz/x") { nil }
        try await withEndpoint { port in
            let response = try await exchange("HEAD /healthz/x HTTP/1.1\r\nHost: x\r\n\r\n", port: port)
            #expect(response.status == "HTTP/1.1 200 OK")
            #expect(response.headers["content-length"] == "2")
            #expect(response.body == "")
        }
    }

    @Test(arguments: [("GET", "<p>"), ("HEAD", "")])
    func `a page is served with the headers that protect its reader`(method: String, body: String) async throws {
        pages.register(path: "/", .html) { "<p>" }
        try await withEndpoint { port in
            let response = try await exchange("\(method) / HTTP/1.1\r\nHost: x\r\n\r\n", port: port)
            #expect(response.status == "HTTP/1.1 200 OK")
            #expect(response.headers["content-type"] == "text/html; charset=utf-8")
            #expect(response.headers["content-length"] == "3")
            #expect(response.headers["content-security-policy"]?.hasPrefix("default-src 'none';") == true)
            #expect(response.headers["x-content-type-options"] == "nosniff")
            #expect(response.body == body)
        }
    }

    @Test(arguments: ["/", "/healthz", "/metrics/", "/healthz/y"])
    func `other paths are not found`(path: String) async throws {
        healthChecks.register(path: "/healthz/x") { nil }
        try await withEndpoint { port in
            let status = try await get(path, port: port).status
            #expect(status == "HTTP/1.1 404 Not Found")
        }
    }

    @Test(arguments: ["/metrics", "/healthz/x"], ["POST", "DELETE", "PUT"])
    func `other methods are not allowed`(path: String, method: String) async throws {
        healthChecks.register(path: "/healthz/x") { nil }
        try await withEndpoint { port in
            let request = "\(method) \(path) HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody"
            let response = try await exchange(request, port: port)
            #expect(response.status == "HTTP/1.1 405 Method Not Allowed")
            #expect(response.headers["allow"] == "GET, HEAD")
        }
    }

    @Test func `a second request on a connection is ignored`() async throws {
        let results = ResultSequence([nil])
        healthChecks.register(path: "/healthz/x") { results.next() }
        try await withEndpoint { port in
            let request = "GET /healthz/x HTTP/1.1\r\nHost: x\r\n\r\n"
            let body = try await exchange(request + request, port: port).body
            #expect(body == "ok")
        }
        #expect(results.count == 1)
    }

    // MARK: Limits

    enum BadRequest: CaseIterable {
        case longURL
        case longHeader
        case manyHeaders
        case longBody
        case notHTTP

        var text: String {
            switch self {
            case .longURL: "GET /" + String(repeating: "x", count: 20_000)
            case .longHeader: "GET / HTTP/1.1\r\nX: " + String(repeating: "x", count: 20_000)
            case .manyHeaders: "GET / HTTP/1.1\r\n" + String(repeating: "X: y\r\n", count: 4000)
            case .longBody:
                "POST / HTTP/1.1\r\nContent-Length: 100000\r\n\r\n" + String(repeating: "x", count: 20_000)
            case .notHTTP: "\u{16}\u{03}\u{01} this is TLS or worse\r\n\r\n"
            }
        }
    }

    @Test(arguments: BadRequest.allCases)
    func `an oversized or malformed request ends its connection only`(request: BadRequest) async throws {
        try await withEndpoint { port in
            let received = try await rawExchange(request.text, port: port)
            // The kernel may discard the response when a connection is closed with unread bytes.
            #expect(received == "" || received.hasPrefix("HTTP/1.1 400 Bad Request\r\n"))
            let status = try await get("/metrics", port: port).status
            #expect(status == "HTTP/1.1 200 OK")
        }
    }

    @Test(arguments: ["", "GET /metrics HT", "GET /metrics HTTP/1.1\r\nHost: x\r\n"])
    func `a request that does not end is cut off after the time limit`(beginning: String) async throws {
        try await withEndpoint(exchangeTimeLimit: .milliseconds(50)) { port in
            let received = try await rawExchange(beginning, port: port)
            #expect(received == "")
        }
    }

    @Test func `a connection above the limit is closed`() async throws {
        try await withEndpoint(connectionLimit: 1) { port in
            let first = try await connect(port: port)
            let received = try await rawExchange("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", port: port)
            #expect(received == "")
            try await first.close()
        }
    }

    @Test func `closed connections do not count towards the limit`() async throws {
        try await withEndpoint(connectionLimit: 1) { port in
            for _ in 0..<5 {
                let status = try await get("/metrics", port: port).status
                #expect(status == "HTTP/1.1 200 OK")
            }
        }
    }

    // MARK: Start and shutdown

    @Test func `cancellation closes connections and frees the port`() async throws {
        let port = try await freePort()
        let idle = try await retryingWhilePortIsInUse {
            try await withEndpoint(port: port) { port in
                let idle = try await connect(port: port)
                // Once this is served, the idle connection has been accepted.
                _ = try await get("/metrics", port: port)
                return idle
            }
        }
        let received = try await idle.received.get()
        #expect(received == "")
        let again = try await retryingWhilePortIsInUse {
            try await withEndpoint(port: port) { $0 }
        }
        #expect(again == Int(port))
    }

    /// A process that another test is starting has copies of our sockets until its exec.
    private func retryingWhilePortIsInUse<R>(_ body: () async throws -> R) async throws -> R {
        while true {
            do {
                return try await body()
            } catch let error as EndpointError where error.code == .addressInUse {
                await Task.yield()
            }
        }
    }

    @Test func `a port that is in use is named`() async throws {
        try await withEndpoint { port in
            let error = await #expect(throws: EndpointError.self) {
                try await withEndpoint(port: UInt16(port)) { _ in }
            }
            #expect(error?.code == .addressInUse)
            #expect(error?.message.hasPrefix("listen on 127.0.0.1:\(port): the port is in use:") == true)
        }
    }

    @Test func `an address of another host is named`() async throws {
        // 192.0.2.0/24 is reserved for documentation.
        let error = await #expect(throws: EndpointError.self) {
            try await withEndpoint(host: "192.0.2.1") { _ in }
        }
        #expect(error?.code == .cannotListen)
        #expect(error?.message.hasPrefix("listen on 192.0.2.1:0: ") == true)
    }

    @Test(arguments: ["127.0.0.1", "::1"])
    func `an empty host listens on all addresses of both families`(client: String) async throws {
        let probe = ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
        do {
            try await probe.bind(host: client, port: 0).get().close()
        } catch {
            print("skipped: this machine has no address \(client): \(error)")
            return
        }
        let address = try ListenAddress(parsing: ":0")
        try await withEndpoint(host: address.host, port: address.port) { port in
            let response = try await rawExchange("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", host: client, port: port)
            #expect(response.hasPrefix("HTTP/1.1 200 OK\r\n"))
        }
    }

    // MARK: Helpers

    /// A port below the ephemeral range, so that no other socket takes it between two uses.
    private func freePort() async throws -> UInt16 {
        var free: UInt16?
        for port in (UInt16(10_000)..<20_000).shuffled() where free == nil {
            let bootstrap = ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            guard let listener = try? await bootstrap.bind(host: "127.0.0.1", port: Int(port)).get() else { continue }
            try await listener.close()
            free = port
        }
        return try #require(free)
    }

    /// Runs an endpoint on a free port of 127.0.0.1 while `body` runs. Its time limit exceeds that of the tests, so
    /// that no test passes because of a timeout.
    private func withEndpoint<R: Sendable>(
        host: String = "127.0.0.1",
        port: UInt16 = 0,
        metricsPath: String = "/metrics",
        exchangeTimeLimit: Duration = .seconds(3600),
        connectionLimit: Int = 64,
        _ body: (Int) async throws -> R
    ) async throws -> R {
        let configuration = DiagnosticsEndpoint.Configuration(
            address: ListenAddress(host: host, port: port),
            metricsPath: metricsPath,
            exchangeTimeLimit: exchangeTimeLimit,
            connectionLimit: connectionLimit
        )
        return try await runEndpoint(
            configuration,
            metrics: registry,
            healthChecks: healthChecks,
            pages: pages,
            while: body
        )
    }
}
