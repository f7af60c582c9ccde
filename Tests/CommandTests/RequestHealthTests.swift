// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Foundation
import HealthMonitorTestKit
import KubernetesAPI
import KubernetesClient
import Logging
import Testing

@testable import csi_health_monitor

/// Refused requests for one namespace, with an API server that is asked whether the RBAC rule is missing.
@Suite(.timeLimit(.minutes(50))) struct RequestHealthTests {
    private static let missingRule =
        #"events is forbidden: User "monitor" cannot create resource "events" in API group "" in the namespace "shop""#

    /// Has requests for events in one namespace refused, and a review made of it.
    ///
    /// - Parameter rules: what RBAC allows the client.
    private static func refuse(
        rules: [PolicyRule],
        intercept: @escaping @Sendable (APIRequest) -> Interception? = { _ in nil },
        _ body: (RequestHealth, SimulatedAPIServer) async throws -> Void
    ) async throws {
        var configuration = SimulatedAPIServer.Configuration()
        configuration.users["token"] = APIUser(name: "monitor", rules: rules)
        try await SimulatedAPIServer.withServer(configuration: configuration) { server in
            let kubeconfig = "/tmp/rh-\(UUID().uuidString.prefix(8)).kubeconfig"
            try server.writeKubeconfig(to: kubeconfig, .token("token"))
            defer { try? FileManager.default.removeItem(atPath: kubeconfig) }
            let health = RequestHealth()
            let client = try KubernetesClient(
                configuration: .load(kubeconfig: kubeconfig),
                userAgent: "test",
                rateLimit: nil,
                connectTimeout: .seconds(3600),
                requestTimeout: .seconds(3600),
                logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
            ) { health.observe($0) }
            server.intercept { request in
                if request.resource == "events", request.namespace == "shop" {
                    return .fail(StatusError(code: 403, reason: "Forbidden", message: missingRule))
                }
                return intercept(request)
            }
            let clock = ManualClock()
            do {
                try await withThrowingTaskGroup { group in
                    group.addTask { try await health.reviewRefusals(client, clock: clock) }
                    var event = Event()
                    (event.metadata.name, event.metadata.namespace) = ("e", "shop")
                    _ = try? await client.create(event)
                    // The review is over.
                    await clock.sleeper()
                    try await body(health, server)
                    group.cancelAll()
                }
            } catch {
                await client.shutdown()
                throw error
            }
            await client.shutdown()
        }
    }

    private static let granted = [PolicyRule(verbs: ["create"], apiGroups: [""], resources: ["events"])]

    @Test func `a namespace that an authorizer refuses alone is no missing rule`() async throws {
        try await Self.refuse(rules: Self.granted) { health, server in
            #expect(health.rules.isEmpty)
            #expect(server.journal.records.map(\.request.resource) == ["events", "selfsubjectaccessreviews"])
        }
    }

    @Test func `a rule that the API server does not grant is missing`() async throws {
        try await Self.refuse(rules: []) { health, _ in
            #expect(health.rules.map(\.isMissing) == [true])
            #expect(health.missingRules(at: .now).keys.allSatisfy { $0.contains("events") })
        }
    }

    @Test func `where the review itself is refused, the rule counts as missing, and the review's does not`()
        async throws
    {
        try await Self.refuse(rules: Self.granted) { request in
            guard request.resource == "selfsubjectaccessreviews" else { return nil }
            let message = #"User "monitor" cannot create resource "selfsubjectaccessreviews" at the cluster scope"#
            return .fail(StatusError(code: 403, reason: "Forbidden", message: message))
        } _: { health, _ in
            #expect(health.rules.map(\.isMissing) == [true])
            #expect(health.missingRules(at: .now).keys.allSatisfy { $0.contains("events") })
        }
    }
}
