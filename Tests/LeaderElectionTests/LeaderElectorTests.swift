// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Foundation
import HealthMonitorTestKit
import InMemoryLogging
import KubernetesClient
import Logging
import Synchronization
import Testing

@testable import LeaderElection

/// Candidates over real sockets, with a manual clock.
@Suite(.timeLimit(.minutes(30))) struct LeaderElectorTests {
    static let lease = "leader-hostpath-csi-k8s-io"

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

    private func spec(_ server: SimulatedAPIServer) throws -> JSONValue? {
        try server.object(kind: "Lease", namespace: "kube-system", name: Self.lease)?["spec"]
    }

    @Test func `the first candidate creates the Lease, and releases it at the end`() async throws {
        try await Self.withServer { server, client in
            let candidate = try Candidate("pod-0", client, labels: ["app": "csi"])
            var terms = candidate.terms.makeAsyncIterator()
            #expect(await terms.next() == true)
            let lease = try server.object(kind: "Lease", namespace: "kube-system", name: Self.lease)
            #expect(lease?["spec", "holderIdentity"] == "pod-0")
            #expect(lease?["spec", "leaseDurationSeconds"] == 15)
            #expect(lease?["spec", "leaseTransitions"] == 0)
            #expect(lease?["metadata", "labels"] == ["app": "csi"])
            #expect(candidate.lastRenewal != nil)

            await candidate.stop()
            #expect(await terms.next() == false)
            let holder = try spec(server)?["holderIdentity"]?.string ?? ""
            #expect(holder.isEmpty)
            #expect(candidate.lastRenewal == nil)
        }
    }

    @Test func `a leader renews every retry period with one request`() async throws {
        try await Self.withServer { server, client in
            let candidate = try Candidate("pod-0", client)
            var terms = candidate.terms.makeAsyncIterator()
            #expect(await terms.next() == true)
            for count in 1...3 {
                // The next renewal and the deadline.
                await candidate.clock.sleepers(2)
                candidate.clock.advance(by: .seconds(5))
                var updates = 0
                for await record in server.journal where record.request.verb == .update {
                    updates += 1
                    if updates == count { break }
                }
                // Until the response has arrived, the sleeper is the attempt's timeout.
                while candidate.lastRenewal != candidate.clock.now.offset { await pollingPause() }
            }
            let requests = server.journal.records.map(\.request.verb)
            #expect(requests == [.get, .create, .update, .update, .update])
            await candidate.stop()
        }
    }

    @Test func `a standby takes over within a retry period of a release`() async throws {
        try await Self.withServer { _, client in
            let leader = try Candidate("pod-0", client)
            var leading = leader.terms.makeAsyncIterator()
            #expect(await leading.next() == true)
            let standby = try Candidate("pod-1", client)
            await standby.clock.sleeper(ofAtLeast: .milliseconds(1))
            await leader.stop()
            standby.clock.advance(by: .seconds(5))
            var following = standby.terms.makeAsyncIterator()
            #expect(await following.next() == true)
            await standby.stop()
        }
    }

    /// The process ends while the response to its acquisition is outstanding: no candidate must wait until the Lease
    /// expires.
    @Test func `a Lease whose acquisition had no response is released too`() async throws {
        try await Self.withServer { server, client in
            server.intercept { $0.verb == .create ? .holdResponse : nil }
            let candidate = try Candidate("pod-0", client)
            _ = await server.journal.first { $0.request.verb == .create && $0.isWritten }
            let holder = try spec(server)?["holderIdentity"]
            #expect(holder == "pod-0")
            await candidate.stop()
            let after = try spec(server)?["holderIdentity"]
            #expect(after == "")
        }
    }

    /// The acquisition was applied and its response was lost; the next write was refused before it could be applied.
    @Test func `a Lease that may have been acquired is released after a refused write too`() async throws {
        try await Self.withServer { server, client in
            let refused = Atomic(0)
            server.intercept { request in
                switch request.verb {
                case .create: return .loseResponse
                case .update:
                    refused.add(1, ordering: .relaxed)
                    return .fail(StatusError(code: 429, reason: "TooManyRequests", message: "busy"))
                default: return nil
                }
            }
            let candidate = try Candidate("pod-0", client)
            while refused.load(ordering: .relaxed) == 0 {
                candidate.clock.advance(by: .seconds(1))
                await pollingPause()
            }
            await candidate.clock.sleeper(ofAtLeast: .milliseconds(1))
            server.intercept(nil)
            await candidate.stop()
            let holder = try spec(server)?["holderIdentity"]
            #expect(holder == "")
        }
    }

    @Test func `a standby waits until a dead leader's Lease has expired`() async throws {
        try await Self.withServer { server, client in
            // As client-go writes it. The holder never renews it, and its clock is decades ahead.
            try server.create([
                "apiVersion": "coordination.k8s.io/v1",
                "kind": "Lease",
                "metadata": [
                    "namespace": "kube-system", "name": .string(Self.lease), "annotations": ["kept": "yes"],
                ],
                "spec": [
                    "holderIdentity": "ehm-0", "leaseDurationSeconds": 15, "leaseTransitions": 7,
                    "acquireTime": "2099-01-01T00:00:00.000000Z", "renewTime": "2099-01-01T00:00:00.000000Z",
                ],
            ])
            let standby = try Candidate("pod-1", client)
            for _ in 0..<3 {
                let holder = try spec(server)?["holderIdentity"]
                #expect(holder == "ehm-0")
                await standby.clock.sleeper(ofAtLeast: .milliseconds(1))
                standby.clock.advance(by: .seconds(5))
            }
            var terms = standby.terms.makeAsyncIterator()
            #expect(await terms.next() == true)
            let lease = try server.object(kind: "Lease", namespace: "kube-system", name: Self.lease)
            #expect(lease?["spec", "holderIdentity"] == "pod-1")
            #expect(lease?["spec", "leaseTransitions"] == 8)
            #expect(lease?["metadata", "annotations", "kept"] == "yes")
            await standby.stop()
        }
    }

    /// The API server does not validate an annotation's value: anyone who may annotate the Lease could stop all
    /// replicas.
    @Test func `an annotation that is not UTF-8 is kept when a Lease is acquired, renewed and released`() async throws {
        try await Self.withServer { server, client in
            let annotations: JSONValue = ["a": .string(String(storedBytes: [0xFF, 0x62, 0xFF]))]
            try server.create([
                "apiVersion": "coordination.k8s.io/v1",
                "kind": "Lease",
                "metadata": [
                    "namespace": "kube-system", "name": .string(Self.lease), "annotations": annotations,
                    "labels": ["app": "other", "team": "storage"],
                ],
                "spec": ["holderIdentity": "", "leaseDurationSeconds": 1],
            ])
            let candidate = try Candidate("pod-0", client, labels: ["app": "csi"])
            var terms = candidate.terms.makeAsyncIterator()
            #expect(await terms.next() == true)
            // The next renewal and the deadline.
            await candidate.clock.sleepers(2)
            candidate.clock.advance(by: .seconds(5))
            while candidate.lastRenewal != candidate.clock.now.offset { await pollingPause() }
            var lease = try server.object(kind: "Lease", namespace: "kube-system", name: Self.lease)
            #expect(lease?["spec", "holderIdentity"] == "pod-0")
            #expect(lease?["metadata", "annotations"] == annotations)
            #expect(lease?["metadata", "labels"] == ["app": "csi", "team": "storage"])
            await candidate.stop()
            lease = try server.object(kind: "Lease", namespace: "kube-system", name: Self.lease)
            #expect(lease?["spec", "holderIdentity"] == "")
            #expect(lease?["metadata", "annotations"] == annotations)
        }
    }

    @Test(arguments: [500, 403, 409])
    func `a candidate whose attempts all fail reports it until one succeeds`(code: Int) async throws {
        try await Self.withServer { server, client in
            // A conflict is the response to the write only.
            server.intercept {
                code == 409 && $0.verb == .get ? nil : .fail(StatusError(code: code, reason: "", message: "no"))
            }
            let candidate = try Candidate("pod-0", client)
            var first: Duration?
            while candidate.health.problem() == nil {
                let wait = await candidate.clock.sleeper(ofAtLeast: .milliseconds(1))
                first = first ?? candidate.clock.now.offset
                candidate.clock.advance(by: wait)
            }
            let problem = candidate.health.problem()
            #expect(problem?.age == .seconds(15))
            #expect(problem?.reason.hasPrefix("failed to acquire lease: ") == true)
            #expect(problem?.reason.contains("\(code): no") == true)
            #expect(first == .zero)
            #expect(candidate.health.failure() == nil)

            server.intercept(nil)
            while !candidate.elector.isLeading {
                candidate.clock.advance(by: .seconds(1))
                await pollingPause()
            }
            #expect(candidate.health.problem() == nil)
            await candidate.stop()
        }
    }

    @Test func `a leader that fails to renew stops at the deadline, and is a candidate again`() async throws {
        try await Self.withServer { server, client in
            let candidate = try Candidate("pod-0", client)
            var terms = candidate.terms.makeAsyncIterator()
            #expect(await terms.next() == true)
            server.intercept { _ in .fail(StatusError(code: 503, reason: "ServiceUnavailable", message: "away")) }
            await candidate.clock.sleeper(ofAtLeast: .seconds(12.5), atMost: .seconds(12.5))
            candidate.clock.advance(by: .seconds(12))
            #expect(candidate.elector.isLeading)
            candidate.clock.advance(by: .seconds(0.5))
            // At once, before any task has noticed.
            #expect(!candidate.elector.isLeading)
            #expect(await terms.next() == false)

            server.intercept(nil)
            // The next attempt may still meet the interception; then the one after it succeeds.
            let watcher = Task {
                var iterator = candidate.terms.makeAsyncIterator()
                return await iterator.next()
            }
            while candidate.lastRenewal == nil {
                candidate.clock.advance(by: .seconds(1))
                await pollingPause()
            }
            #expect(await watcher.value == true)
            await candidate.stop()
        }
    }

    /// A failure that follows an outage, such as an untrusted certificate, must be logged too: seen on kube-apiserver
    /// 1.36.
    @Test func `a failure is logged once, and again when its cause changes`() async throws {
        try await Self.withServer { server, client in
            let log = InMemoryLogHandler()
            let requests = Atomic(0)
            server.intercept { _ in
                let count = requests.add(1, ordering: .relaxed).newValue
                if count <= 3 { return .fail(StatusError(code: 503, reason: "ServiceUnavailable", message: "away")) }
                if count <= 6 { return .fail(StatusError(code: 403, reason: "Forbidden", message: "no")) }
                return nil
            }
            let candidate = try Candidate("pod-0", client, log: log)
            while !candidate.elector.isLeading {
                candidate.clock.advance(by: .seconds(1))
                await pollingPause()
            }
            let errors = log.entries.filter { $0.level == .warning }.map { "\($0.metadata["err"] ?? "")" }
            #expect(errors.count == 2)
            #expect(errors.first?.contains("away") == true)
            #expect(errors.last?.contains("no") == true)
            await candidate.stop()
        }
    }

    @Test func `a renewal that hangs does not prolong leadership`() async throws {
        try await Self.withServer { server, client in
            let candidate = try Candidate("pod-0", client)
            var terms = candidate.terms.makeAsyncIterator()
            #expect(await terms.next() == true)
            let (arrivals, arrived) = AsyncStream.makeStream(of: Void.self)
            server.intercept { _ in
                arrived.yield()
                let (never, _) = AsyncStream.makeStream(of: Never.self)
                for await _ in never {}
                return .cut
            }
            await candidate.clock.sleepers(2)
            candidate.clock.advance(by: .seconds(5))
            for await _ in arrivals { break }
            candidate.clock.advance(by: .seconds(7.5))
            #expect(await terms.next() == false)
            server.intercept(nil)
            await candidate.stop()
        }
    }

    @Test func `a leader that steps down leaves the Lease to others, at first for a lease duration`() async throws {
        try await Self.withServer { server, client in
            let clock = ManualClock()
            let changes = AsyncStream.makeStream(of: String.self)
            let elector = try Self.elector(client, clock: clock) { change in
                switch change {
                case .began: changes.continuation.yield("began")
                case .ended(.steppedDown(let error)): changes.continuation.yield(error.reason)
                case .ended: changes.continuation.yield("ended")
                }
            }
            let isFit = Atomic(false)
            let starts = Mutex<[Duration]>([])
            let task = Task {
                try await elector.run {
                    isFit.load(ordering: .relaxed)
                } _: {
                    starts.withLock { $0.append(clock.now.offset) }
                    throw StepDown(kind: "test", reason: "blind")
                }
            }
            // Not the sleep of the release, which times out after 3 seconds.
            while starts.withLock({ $0.count }) < 5 {
                clock.advance(by: await clock.sleeper(ofAtLeast: .seconds(3.5), atMost: .seconds(5)))
                await pollingPause()
            }
            // Unfit: a delay of one lease duration before the first term, then of one, two, four and four.
            let times = starts.withLock { $0 }
            let waits = zip(times, [.zero] + times).map { $0 - $1 }
            #expect(zip(waits, [15, 15, 30, 60, 60]).allSatisfy { $0 >= .seconds($1) }, "\(waits)")
            // Fit again: the next attempt succeeds, however long the delay was.
            isFit.store(true, ordering: .relaxed)
            while starts.withLock({ $0.count }) < 6 {
                clock.advance(by: await clock.sleeper(ofAtLeast: .seconds(3.5), atMost: .seconds(5)))
                await pollingPause()
            }
            task.cancel()
            _ = await task.result
            var seen = changes.stream.makeAsyncIterator()
            var first: [String] = []
            for _ in 0..<4 { await seen.next().map { first.append($0) } }
            #expect(first.count { $0 == "began" } == 2)
            #expect(first.count { $0 == "blind" } == 2)
        }
    }

    @Test func `the beginning and the end of a term are reported, the end after the release`() async throws {
        try await Self.withServer { server, client in
            let changes = AsyncStream.makeStream(of: String.self)
            let elector = try Self.elector(client) { change in
                let lease = try? server.object(kind: "Lease", namespace: "kube-system", name: Self.lease)
                let kind =
                    switch change {
                    case .began: "began"
                    case .ended(.released): "released"
                    case .ended: "ended"
                    }
                changes.continuation.yield("\(kind), holder: \(lease?["spec", "holderIdentity"]?.string ?? "")")
            }
            var seen = changes.stream.makeAsyncIterator()
            let (work, end) = AsyncStream.makeStream(of: Void.self)
            let task = Task { try await elector.run { for await _ in work {} } }
            #expect(await seen.next() == "began, holder: pod-0")
            end.finish()
            #expect(await seen.next() == "released, holder: ")
            try await task.value
        }
    }

    @Test func `the end of the work cancels what a change of leadership has started`() async throws {
        try await Self.withServer { _, client in
            let (started, start) = AsyncStream.makeStream(of: Void.self)
            let elector = try Self.elector(client) { change in
                guard case .began = change else { return }
                start.finish()
                // As an event whose API server does not respond.
                let (never, _) = AsyncStream.makeStream(of: Never.self)
                for await _ in never {}
            }
            try await elector.run { for await _ in started {} }
        }
    }

    @Test func `work that returns or throws ends the election`() async throws {
        struct Failure: Error {}
        try await Self.withServer { server, client in
            let elector = try Candidate("unused", client)
            await elector.stop()
            try await elector.elector.run {}
            await #expect(throws: Failure.self) {
                try await elector.elector.run { throw Failure() }
            }
            let holder = try spec(server)?["holderIdentity"]?.string ?? ""
            #expect(holder.isEmpty)
        }
    }
}
