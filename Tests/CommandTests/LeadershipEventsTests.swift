// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Foundation
import HealthMonitorTestKit
import KubernetesClient
import LeaderElection
import Logging
import Testing

@testable import csi_health_monitor

@Suite(.timeLimit(.minutes(50))) struct LeadershipEventsTests {
    /// For a moment after its start, kube-apiserver refuses with 403 what its RBAC rules allow (run on 1.36.2). A standby
    /// makes no other request that would show that the rule exists.
    @Test func `an event that a starting server refuses is recorded by a retry`() async throws {
        try await SimulatedAPIServer.withServer { server in
            let kubeconfig = "/tmp/lv-\(UUID().uuidString.prefix(8)).kubeconfig"
            try server.writeKubeconfig(to: kubeconfig)
            defer { try? FileManager.default.removeItem(atPath: kubeconfig) }
            let health = RequestHealth()
            let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
            let client = try KubernetesClient(
                configuration: .load(kubeconfig: kubeconfig),
                userAgent: "test",
                rateLimit: nil,
                connectTimeout: .seconds(3600),
                requestTimeout: .seconds(3600),
                logger: logger
            ) { health.observe($0) }
            server.intercept { _ in
                let message = #"events is forbidden: User "monitor" cannot create resource "events""#
                return .fail(StatusError(code: 403, reason: "Forbidden", message: message))
            }
            let clock = ManualClock()
            let events = LeadershipEvents(
                client: client,
                namespace: "kube-system",
                lease: "lease",
                identity: "pod-0",
                logger: logger,
                clock: clock
            )
            await withTaskGroup { group in
                group.addTask { try? await health.reviewRefusals(client, clock: clock) }
                async let recorded: Void = events.record(.began)
                await clock.sleeper(atMost: .seconds(1))
                while health.rules.map(\.isMissing) != [true] { await pollingPause() }
                server.intercept(nil)
                clock.advance(by: .seconds(1))
                await recorded
                group.cancelAll()
            }
            #expect(try server.objects(kind: "Event").map { $0["message"] } == ["pod-0 became leader"])
            #expect(health.rules.map(\.isMissing) == [false])
            await client.shutdown()
        }
    }
}
