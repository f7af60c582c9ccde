// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthMonitorTestKit
import InMemoryLogging
import Logging
import Synchronization
import Testing

@testable import LeaderElection

/// Requests for the Lease that fail or hang; `LeaderElectorRenewalTests` has single failed renewals.
@Suite(.timeLimit(.minutes(50))) struct LeaderElectorFailureTests: ElectionTests {
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
}
