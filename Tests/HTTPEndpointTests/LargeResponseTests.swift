// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthMonitorTestKit
import Metrics
import Testing

@testable import HTTPEndpoint

/// The limit of large responses in flight: four.
@Suite(.timeLimit(.minutes(50))) struct LargeResponseTests {
    private let registry = MetricsRegistry()
    private let healthChecks = HealthChecks()
    private let pages = Pages()

    init() {
        // More than the socket buffers hold.
        let text = String(repeating: "x", count: 8 << 20)
        // As a name, which is not escaped: in a debug build, escaping megabytes takes seconds.
        registry.gauge(MetricDescription(name: text, help: "")).set(1)
        pages.register(path: "/page", .plainText) { text }
        healthChecks.register(path: "/healthz") { nil }
        healthChecks.register(path: "/readyz") { [HealthChecks.Result(name: "a", failure: nil)] }
    }

    @Test(arguments: ["/metrics", "/page"])
    func `beside four clients that read nothing, only health checks are served`(path: String) async throws {
        try await withEndpoint { port in
            var clients: [StalledClient] = []
            for _ in 0..<4 { clients.append(try await stall(path, port: port)) }
            #expect(clients.allSatisfy { $0.beginning.hasPrefix("HTTP/1.1 200 OK\r\n") })
            for refused in ["/metrics", "/page"] {
                let response = try await get(refused, port: port)
                #expect(response.status == "HTTP/1.1 503 Service Unavailable")
                #expect(response.body == "too many responses with metrics or pages are in flight, retry later\n")
            }
            for served in ["/healthz", "/readyz"] {
                let status = try await get(served, port: port).status
                #expect(status == "HTTP/1.1 200 OK")
            }
            let notAllowed = try await exchange("POST /metrics HTTP/1.1\r\nHost: x\r\n\r\n", port: port).status
            #expect(notAllowed == "HTTP/1.1 405 Method Not Allowed")
            // Even one of them, once it is gone.
            try await clients[0].close()
            while try await get("/metrics", port: port).status != "HTTP/1.1 200 OK" { await pollingPause() }
            for client in clients.dropFirst() { try await client.close() }
        }
    }

    @Test func `responses that were read do not count towards the limit`() async throws {
        try await withEndpoint { port in
            for _ in 0..<6 {
                let status = try await get("/metrics", port: port).status
                #expect(status == "HTTP/1.1 200 OK")
            }
        }
    }

    @Test func `clients that read nothing do not count after the time limit`() async throws {
        try await withEndpoint(exchangeTimeLimit: .seconds(5)) { port in
            var clients: [StalledClient] = []
            // A connection that the machine was too slow to serve in time is closed, too.
            while clients.count < 4 {
                if let client = try? await stall("/page", port: port) { clients.append(client) }
            }
            while try await get("/page", port: port).status != "HTTP/1.1 200 OK" { await pollingPause() }
            for client in clients { try? await client.close() }
        }
    }

    /// Without a time limit that ends within the tests.
    private func withEndpoint(
        exchangeTimeLimit: Duration = .seconds(3600),
        _ body: (Int) async throws -> Void
    ) async throws {
        let configuration = DiagnosticsEndpoint.Configuration(
            address: ListenAddress(host: "127.0.0.1", port: 0),
            exchangeTimeLimit: exchangeTimeLimit
        )
        try await runEndpoint(
            configuration,
            metrics: registry,
            healthChecks: healthChecks,
            pages: pages,
            while: body
        )
    }
}
