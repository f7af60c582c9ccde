// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthMonitorTestKit
import KubernetesAPI
import KubernetesClient
import Logging
import Synchronization

/// Clients that make the requests of agents: each lists and watches the pods of the node, and reads objects one by one
/// at the pace at which a real agent was seen to do it.
///
/// All use the objects of one node: the server's responses are as long as for as many nodes, but it keeps only the
/// objects of one.
final class ScriptedAgents: Sendable {
    /// A read of one object.
    struct Read: Sendable {
        enum Kind: String, Sendable {
            case claim = "persistentvolumeclaims"
            case volume = "persistentvolumes"
            case event = "events"
        }

        let kind: Kind
        let namespace: String
        let name: String
        /// From the agent's first request.
        let delay: Duration
    }

    private struct Counts {
        var finished = 0
        var failures = 0
    }

    /// Of one client: each has a thread, and polls all its connections whenever one of them has data.
    private static let agentsPerClient = 10

    private let node: NodeCluster
    private let reads: [Read]
    private let counts = Mutex(Counts())

    init(node: NodeCluster, reads: [Read]) {
        self.node = node
        self.reads = reads
    }

    /// The reads among the requests of an agent.
    static func reads(of requests: [RequestRecord]) -> [Read] {
        guard let first = requests.first else { return [] }
        return requests.compactMap { record in
            let request = record.request
            guard request.verb == .get, let kind = Read.Kind(rawValue: request.resource) else { return nil }
            return Read(kind: kind, namespace: request.namespace, name: request.name, delay: record.time - first.time)
        }
    }

    /// The agents that have made all their reads.
    var finished: Int { counts.withLock { $0.finished } }
    /// Requests without a successful response, except those for events that do not exist.
    var failures: Int { counts.withLock { $0.failures } }
    /// The watches that the server has open for the agents.
    var openWatches: Int { node.server.watches.count { $0.request.user == NodeCluster.scripted.name } }

    /// Runs agents, which start at random times within `spread`, until cancelled.
    ///
    /// - Throws: `CancellationError`, or an error of the configuration.
    func run(count: Int, within spread: Duration) async throws {
        let path = node.kubeconfig(of: NodeCluster.scripted)
        let configuration = try KubernetesConfiguration.load(kubeconfig: path)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for first in stride(from: 0, to: count, by: Self.agentsPerClient) {
                let client = try KubernetesClient(
                    configuration: configuration,
                    userAgent: "scripted-agents",
                    rateLimit: nil,
                    logger: Self.logger
                )
                let size = min(Self.agentsPerClient, count - first)
                group.addTask {
                    do {
                        try await self.run(count: size, within: spread, client)
                    } catch {
                        await client.shutdown()
                        throw error
                    }
                }
            }
            try await group.waitForAll()
        }
    }

    private static let logger = Logger(label: "scripted-agents") { _ in SwiftLogNoOpLogHandler() }

    private func run(count: Int, within spread: Duration, _ client: KubernetesClient) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<count {
                group.addTask {
                    try await ContinuousClock().sleep(for: spread * .random(in: 0..<1))
                    try await self.runAgent(client)
                }
            }
            try await group.waitForAll()
        }
    }

    private func runAgent(_ client: KubernetesClient) async throws {
        let start = ContinuousClock.now
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await self.watch(client) }
            group.addTask {
                for read in self.reads {
                    try await ContinuousClock().sleep(until: start + read.delay)
                    try await self.perform(read, client)
                }
                self.counts.withLock { $0.finished += 1 }
            }
            try await group.waitForAll()
        }
    }

    private func watch(_ client: KubernetesClient) async throws {
        let watcher = Watcher<WatchedPod>(
            client: client,
            selection: Selection(
                fieldSelector: "spec.nodeName=\(NodeCluster.nodeName),status.phase!=Succeeded,status.phase!=Failed"
            ),
            logger: Self.logger,
            observer: { _ in self.counts.withLock { $0.failures += 1 } }
        )
        for try await _ in watcher {}
    }

    private func perform(_ read: Read, _ client: KubernetesClient) async throws {
        do throws(KubernetesError) {
            switch read.kind {
            case .claim:
                _ = try await client.get(
                    ClaimBinding.self,
                    name: read.name,
                    namespace: read.namespace,
                    fromCache: true
                )
            case .volume: _ = try await client.get(VolumeBinding.self, name: read.name, fromCache: true)
            case .event: _ = try await client.get(RecordedEvent.self, name: read.name, namespace: read.namespace)
            }
        } catch {
            try Task.checkCancellation()
            if read.kind == .event, error.code == .notFound { return }
            counts.withLock { $0.failures += 1 }
        }
    }
}
