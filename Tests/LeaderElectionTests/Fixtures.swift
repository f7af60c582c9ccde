// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Foundation
import HealthMonitorTestKit
import InMemoryLogging
import KubernetesClient
import Logging
import Synchronization

@testable import LeaderElection

/// Candidates for one Lease over real sockets, with a manual clock and the default timing (15 s/10 s/5 s).
protocol ElectionTests: Sendable {}

extension ElectionTests {
    static var lease: String { "leader-hostpath-csi-k8s-io" }

    static func elector(
        _ client: KubernetesClient,
        _ identity: String = "pod-0",
        labels: [String: String] = [:],
        clock: ManualClock = ManualClock(),
        health: LeaderElectionHealth? = nil,
        log: any LogHandler = SwiftLogNoOpLogHandler(),
        onChange: @escaping @Sendable (LeadershipChange) async -> Void = { _ in }
    ) throws -> LeaderElector {
        LeaderElector(
            client: client,
            configuration: .init(
                namespace: "kube-system",
                name: lease,
                identity: identity,
                labels: labels,
                timing: try LeaderElectionTiming()
            ),
            clock: clock,
            health: health ?? LeaderElectionHealth(leaseDuration: .seconds(15), clock: clock),
            logger: Logger(label: "test") { _ in log },
            onChange: onChange
        )
    }

    static func withServer(
        _ body: @escaping @Sendable (SimulatedAPIServer, KubernetesClient) async throws -> Void
    ) async throws {
        // The rule of the Role in manifests/base.
        var configuration = SimulatedAPIServer.Configuration()
        let rule = PolicyRule(
            verbs: ["get", "create", "update"],
            apiGroups: ["coordination.k8s.io"],
            resources: ["leases"],
            namespace: "kube-system"
        )
        configuration.users["monitor"] = APIUser(name: "csi-health-monitor", rules: [rule])
        try await SimulatedAPIServer.withServer(configuration: configuration) { server in
            let kubeconfig = "/tmp/le-\(UUID().uuidString.prefix(13)).kubeconfig"
            try server.writeKubeconfig(to: kubeconfig, .token("monitor"))
            defer { try? FileManager.default.removeItem(atPath: kubeconfig) }
            let client = try KubernetesClient(
                configuration: .load(kubeconfig: kubeconfig),
                userAgent: "test",
                rateLimit: nil,
                connectTimeout: .seconds(3600),
                requestTimeout: .seconds(3600),
                logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
            )
            do {
                try await body(server, client)
                await client.shutdown()
            } catch {
                await client.shutdown()
                throw error
            }
        }
    }

    func spec(_ server: SimulatedAPIServer) throws -> JSONValue? {
        try server.object(kind: "Lease", namespace: "kube-system", name: Self.lease)?["spec"]
    }

    /// Changes the Lease as another client, which does not contend for it.
    func annotate(_ server: SimulatedAPIServer, _ value: Int) throws {
        try server.patch(
            kind: "Lease",
            namespace: "kube-system",
            name: Self.lease,
            ["metadata": ["annotations": ["changed": .string("\(value)")]]]
        )
    }
}

/// A candidate that runs until it is stopped. `terms` has true for the beginning and false for the end of a term.
struct Candidate: Sendable {
    let clock: ManualClock
    let health: LeaderElectionHealth
    let terms: AsyncStream<Bool>
    let elector: LeaderElector
    let task: Task<Void, any Error>
    private let ended = TermCount()

    /// How many terms have ended.
    var endedTerms: Int { ended.value.load(ordering: .relaxed) }
    /// The offset on ``clock`` at which the last renewal was sent; nil while the candidate does not lead.
    var lastRenewal: Duration? { health.lastRenewal.withLock { $0 } }

    private final class TermCount: Sendable {
        let value = Atomic(0)
    }

    init(
        _ identity: String,
        _ client: KubernetesClient,
        labels: [String: String] = [:],
        log: any LogHandler = SwiftLogNoOpLogHandler()
    ) throws {
        let (terms, term) = AsyncStream.makeStream(of: Bool.self)
        self.terms = terms
        clock = ManualClock()
        health = LeaderElectionHealth(leaseDuration: .seconds(15), clock: clock)
        let elector = try LeaderElectorTests.elector(
            client,
            identity,
            labels: labels,
            clock: clock,
            health: health,
            log: log
        )
        self.elector = elector
        let ended = ended
        task = Task {
            try await elector.run {
                term.yield(true)
                defer {
                    ended.value.add(1, ordering: .relaxed)
                    term.yield(false)
                }
                let (never, _) = AsyncStream.makeStream(of: Never.self)
                for await _ in never {}
                throw CancellationError()
            }
        }
    }

    func stop() async {
        task.cancel()
        _ = await task.result
    }
}
