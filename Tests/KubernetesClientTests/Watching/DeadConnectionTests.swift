// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HTTPTransport
import HealthMonitorTestKit
import KubernetesAPI
import Testing

@testable import KubernetesClient

/// Watches on connections that stay open and forward nothing. Their limits are in ``WatchSilenceTests``; here they are
/// so short that they can pass.
@Suite(.timeLimit(.minutes(50))) struct DeadConnectionTests {
    @Test(arguments: [false, true])
    func `a watch whose proxy stops forwarding continues on another connection`(streamsLists: Bool) async throws {
        try await TestCluster.with(streamsLists: streamsLists) { cluster in
            let port = try #require(cluster.server.url.split(separator: ":").last.flatMap { Int($0) })
            try await TestTCPProxy.withProxy(to: port) { proxy in
                let client = try KubernetesClient(
                    configuration: KubernetesConfiguration(
                        server: "https://127.0.0.1:\(proxy.port)",
                        tls: TLSConfiguration(
                            certificateAuthorities: Array(cluster.server.certificateAuthority.certificatePEM.utf8)
                        ),
                        credentials: .token(SimulatedAPIServer.adminToken)
                    ),
                    userAgent: "test/1.0",
                    rateLimit: nil,
                    connectTimeout: .seconds(3600),
                    requestTimeout: .seconds(3600),
                    logger: cluster.logger,
                    clock: SkippingClock()
                )
                let errors = Collected<KubernetesError.Code>()
                let watcher = Watcher<PersistentVolume>(
                    client: client,
                    lifetime: WatchLifetime(seconds: 1..<2, grace: .milliseconds(500)),
                    logger: cluster.logger,
                    observer: { errors.append($0.code) }
                )
                var events = watcher.makeAsyncIterator()
                try await expect(&events, "restarted", "synced")
                try cluster.server.create(.volume("first"))
                try await expect(&events, "applied first")
                proxy.stopForwarding()
                try cluster.server.create(.volume("second"))
                try await expect(&events, "applied second")
                // A server without streaming lists rejects the first one. On a busy machine, more watches end too late.
                let failures = errors.values.drop { $0 == .invalid }
                #expect(!failures.isEmpty)
                #expect(failures.allSatisfy(Self.isTimeout))
                await client.shutdown()
            }
        }
    }

    @Test func `a watch without a response fails as soon as a silent one`() async throws {
        try await TestCluster.with { cluster in
            cluster.server.intercept { _ in .hold }
            let error = await #expect(throws: KubernetesError.self) {
                try await cluster.client.watch(
                    PersistentVolume.self,
                    resourceVersion: "1",
                    timeout: .zero,
                    grace: .milliseconds(200)
                )
            }
            #expect(error.map(\.code).map(Self.isTimeout) == true)
        }
    }

    /// On a busy machine the time may be over before the connection is open, which is a failure of the connection.
    private static func isTimeout(_ code: KubernetesError.Code) -> Bool {
        [.timeout, .transport].contains(code)
    }
}
