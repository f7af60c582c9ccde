// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthMonitorTestKit
import KubernetesClient
import Synchronization
import Testing

@testable import LeaderElection

/// Renewals that fail, with the default timing (15 s/10 s/5 s), over real sockets, with a manual clock.
@Suite(.timeLimit(.minutes(50))) struct LeaderElectorRenewalTests: ElectionTests {
    /// How one request fails.
    enum Fault: String, CaseIterable {
        case internalError, unavailable, conflict, reset, lostResponse
        /// The connection delivers no more responses: in HTTP/1.1 they come in order.
        case hang
        /// As `hang`, but the server has applied the request.
        case hangAfterWriting

        var interception: Interception {
            switch self {
            case .internalError: .fail(StatusError(code: 500, reason: "InternalError", message: "no leader"))
            case .unavailable: .fail(StatusError(code: 503, reason: "ServiceUnavailable", message: "shutting down"))
            case .conflict: .fail(StatusError(code: 409, reason: "Conflict", message: "the object has been modified"))
            case .reset: .cut
            case .lostResponse: .loseResponse
            case .hang: .hold
            case .hangAfterWriting: .holdResponse
            }
        }

        var hangs: Bool { self == .hang || self == .hangAfterWriting }

        static let singlesAndPairs: [[Fault]] =
            allCases.map { [$0] } + allCases.flatMap { first in allCases.map { [first, $0] } }
    }

    /// The faults of the next requests.
    private final class Plan: Sendable {
        private let faults: Mutex<ArraySlice<Fault>>

        init(_ faults: [Fault]) { self.faults = Mutex(faults[...]) }

        func next() -> Fault? { faults.withLock { $0.popFirst() } }
    }

    /// Returns when the Lease was renewed after `time`, or the term has ended.
    private func renewal(of candidate: Candidate, after time: Duration) async {
        while candidate.endedTerms == 0, candidate.lastRenewal.map({ $0 <= time }) ?? true {
            await pollingPause()
        }
    }

    /// Runs `body` with a leader that waits for its next renewal.
    private func withLeader(
        _ body: @escaping @Sendable (SimulatedAPIServer, Candidate) async throws -> Void
    ) async throws {
        try await Self.withServer { server, client in
            let candidate = try Candidate("pod-0", client)
            var terms = candidate.terms.makeAsyncIterator()
            #expect(await terms.next() == true)
            // The next renewal and the deadline.
            await candidate.clock.sleepers(2)
            try await body(server, candidate)
            await candidate.stop()
        }
    }

    @Test(arguments: Fault.singlesAndPairs)
    func `the term continues after one failure, and after two in a row`(faults: [Fault]) async throws {
        try await withLeader { server, candidate in
            let clock = candidate.clock
            let beginning = clock.now.offset
            let plan = Plan(faults)
            let (hangs, hung) = AsyncStream.makeStream(of: Void.self)
            server.intercept { _ in
                guard let fault = plan.next() else { return nil }
                if fault.hangs { hung.yield() }
                return fault.interception
            }
            clock.advance(by: .seconds(5))
            await withTaskGroup(of: Void.self) { group in
                group.addTask {
                    // An attempt that hangs: its timeout and the deadline.
                    for await _ in hangs {
                        await clock.sleepers(2)
                        clock.advance(by: await clock.sleeper())
                    }
                }
                group.addTask {
                    // After the second failure.
                    while !Task.isCancelled {
                        clock.advance(by: await clock.sleeper(ofAtLeast: .seconds(1), atMost: .seconds(1)))
                    }
                }
                await renewal(of: candidate, after: beginning)
                group.cancelAll()
            }
            #expect(plan.next() == nil)
            #expect(candidate.elector.isLeading)
            #expect(candidate.endedTerms == 0)
        }
    }

    @Test func `a Lease that another client has changed is read and renewed in the same attempt`() async throws {
        try await withLeader { server, candidate in
            let clock = candidate.clock
            let beginning = clock.now.offset
            try annotate(server, 0)
            clock.advance(by: .seconds(5))
            await renewal(of: candidate, after: beginning)
            let verbs = server.journal.records.map(\.request.verb)
            #expect(verbs == [.get, .create, .update, .get, .update])
            let lease = try server.object(kind: "Lease", namespace: "kube-system", name: Self.lease)
            #expect(lease?["metadata", "annotations", "changed"] == "0")
        }
    }

    @Test func `a Lease that was deleted is created again in the same attempt`() async throws {
        try await withLeader { server, candidate in
            let clock = candidate.clock
            let beginning = clock.now.offset
            try server.delete(kind: "Lease", namespace: "kube-system", name: Self.lease)
            clock.advance(by: .seconds(5))
            await renewal(of: candidate, after: beginning)
            #expect(server.journal.records.map(\.request.verb) == [.get, .create, .update, .get, .create])
            #expect(candidate.endedTerms == 0)
        }
    }

    @Test func `the term continues while another client changes the Lease every two seconds`() async throws {
        try await withLeader { server, candidate in
            let clock = candidate.clock
            var last = try #require(candidate.lastRenewal)
            for second in 1...60 {
                if second.isMultiple(of: 2) { try annotate(server, second) }
                clock.advance(by: .seconds(1))
                guard clock.now.offset - last >= .seconds(5) else { continue }
                await renewal(of: candidate, after: last)
                last = try #require(candidate.lastRenewal)
                #expect(last == clock.now.offset)
                await clock.sleeper(ofAtLeast: .seconds(5), atMost: .seconds(5))
            }
            #expect(candidate.elector.isLeading)
            #expect(candidate.endedTerms == 0)
        }
    }

    @Test func `a leader whose Lease another candidate has acquired stops at the next renewal`() async throws {
        try await withLeader { server, candidate in
            var terms = candidate.terms.makeAsyncIterator()
            try server.patch(
                kind: "Lease",
                namespace: "kube-system",
                name: Self.lease,
                ["spec": ["holderIdentity": "pod-1"]]
            )
            candidate.clock.advance(by: .seconds(5))
            #expect(await terms.next() == false)
            let lease = try server.object(kind: "Lease", namespace: "kube-system", name: Self.lease)
            #expect(lease?["spec", "holderIdentity"] == "pod-1")
        }
    }
}
