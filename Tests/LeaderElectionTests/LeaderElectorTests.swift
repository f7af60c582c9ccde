// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthMonitorTestKit
import Synchronization
import Testing

@testable import LeaderElection

/// How a Lease is acquired, renewed and released.
@Suite(.timeLimit(.minutes(50))) struct LeaderElectorTests: ElectionTests {
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

    /// An annotation of another client makes another version of the Lease, but is no renewal.
    @Test(arguments: [false, true])
    func `a standby waits until a dead leader's Lease has expired`(isAnnotated: Bool) async throws {
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
            for attempt in 0..<3 {
                let holder = try spec(server)?["holderIdentity"]
                #expect(holder == "ehm-0")
                await standby.clock.sleeper(ofAtLeast: .milliseconds(1))
                if isAnnotated { try annotate(server, attempt) }
                standby.clock.advance(by: .seconds(5))
            }
            await standby.clock.sleeper(ofAtLeast: .milliseconds(1))
            try #require(try spec(server)?["holderIdentity"] == "pod-1")
            var terms = standby.terms.makeAsyncIterator()
            #expect(await terms.next() == true)
            let lease = try server.object(kind: "Lease", namespace: "kube-system", name: Self.lease)
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
}
