// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthMonitorTestKit
import KubernetesAPI
import Testing

@testable import KubernetesClient

/// The check of the server's version after a watch with selectors has failed, see ``WatchStateMachine``.
@Suite(.timeLimit(.minutes(50))) struct VersionCheckTests {
    private static let selector = "metadata.name=selected"

    /// The selectors of the checks after a watch was cut.
    private func selectors(
        ofChecksIn cluster: TestCluster,
        _ interceptor: @escaping @Sendable (APIRequest) -> Interception? = { _ in nil }
    ) async throws -> [String?] {
        let server = cluster.server
        var watcher = Watcher<PersistentVolume>(
            client: cluster.client,
            selection: Selection(fieldSelector: Self.selector),
            logger: cluster.logger
        )
        watcher.random = { 0 }
        var events = watcher.makeAsyncIterator()
        try await expect(&events, "restarted", "synced")
        try server.create(.volume("selected"))
        try await expect(&events, "applied selected")
        server.intercept { request in
            if request.verb == .watch {
                _ = try? server.patch(kind: "PersistentVolume", name: "selected", ["status": ["phase": "Bound"]])
            }
            return interceptor(request)
        }
        server.watches[0].cut(afterBytes: 3)
        try await expect(&events, "applied selected")
        let checks = server.journal.records.map(\.request).filter { $0.query["limit"] == "1" }
        return checks.map { $0.query["fieldSelector"] }
    }

    @Test func `any object shows the version`() async throws {
        try await TestCluster.with { cluster in
            let checks = try await selectors(ofChecksIn: cluster)
            #expect(checks == [nil])
        }
    }

    @Test func `where only selected objects may be listed, one of them shows it`() async throws {
        try await TestCluster.with { cluster in
            let checks = try await selectors(ofChecksIn: cluster) { request in
                guard request.verb == .list, request.query["fieldSelector"] == nil else { return nil }
                let message = "can only list/watch pods with spec.nodeName field selector"
                return .fail(StatusError(code: 403, reason: "Forbidden", message: message))
            }
            #expect(checks == [nil, Self.selector])
        }
    }
}
