// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthMonitorTestKit
import Synchronization
import Testing

@testable import LeaderElection

/// The beginning and the end of terms.
@Suite(.timeLimit(.minutes(50))) struct LeaderElectorTermTests: ElectionTests {
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
