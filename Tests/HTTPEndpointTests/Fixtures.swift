// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Metrics
import Testing

@testable import HTTPEndpoint

/// Runs an endpoint while `body` runs, which gets the port.
func runEndpoint<R: Sendable>(
    _ configuration: DiagnosticsEndpoint.Configuration,
    metrics: MetricsRegistry,
    healthChecks: HealthChecks,
    pages: Pages,
    while body: (Int) async throws -> R
) async throws -> R {
    let (addresses, listening) = AsyncStream.makeStream(of: ListenAddress.self)
    let endpoint = DiagnosticsEndpoint(
        configuration: configuration,
        metrics: metrics,
        healthChecks: healthChecks,
        pages: pages,
        didListen: { listening.yield($0) }
    )
    return try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask {
            defer { listening.finish() }
            try await endpoint.run()
        }
        guard let address = await addresses.first(where: { _ in true }) else {
            try await group.next()
            throw CancellationError()
        }
        let result = try await body(Int(address.port))
        group.cancelAll()
        await #expect(throws: CancellationError.self) { try await group.next() }
        return result
    }
}
