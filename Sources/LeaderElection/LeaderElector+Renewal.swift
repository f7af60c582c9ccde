// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import KubernetesAPI
import KubernetesClient
import Logging
import Synchronization

/// A term: from the first attempt to acquire the Lease until leadership ends.
///
/// Its two locks are never held together.
final class LeaderElectionTerm: Sendable {
    let machine: Mutex<LeaderElectionStateMachine>
    /// Whether a write that acquires the Lease was sent, and is not known to have failed.
    let mayHoldLease = Atomic(false)
    /// See ``LeaderElectionStateMachine/decide(on:acquireDelay:now:wall:)``.
    let acquireDelay = Mutex(Duration.zero)

    init(identity: String, timing: LeaderElectionTiming) {
        machine = Mutex(LeaderElectionStateMachine(identity: identity, timing: timing))
    }

    var deadline: Duration? { machine.withLock { $0.deadline } }
}

extension LeaderElector {
    /// How a term ended.
    enum TermEnd: Sendable {
        case workEnded(Result<Void, any Error>)
        case lost
    }

    /// Runs `work` until it ends or the Lease is lost. It has ended when this returns.
    func lead(
        _ term: LeaderElectionTerm,
        _ lease: StoredLease,
        _ work: @escaping @Sendable () async throws -> Void
    ) async -> TermEnd {
        await withTaskGroup(of: TermEnd.self) { group in
            group.addTask {
                do {
                    return .workEnded(.success(try await work()))
                } catch {
                    return .workEnded(.failure(error))
                }
            }
            group.addTask { await self.renewUntilLost(term, lease) }
            group.addTask { await self.waitForDeadline(of: term) }
            var end = await group.next() ?? .lost
            group.cancelAll()
            for await other in group {
                // On cancellation from outside, the renewal may end first although the Lease was not lost.
                if Task.isCancelled, case .workEnded = other { end = other }
            }
            return end
        }
    }

    private func renewUntilLost(_ term: LeaderElectionTerm, _ lease: StoredLease) async -> TermEnd {
        var known: StoredLease? = lease
        var failures = FailureLog()
        while !Task.isCancelled {
            let next = term.machine.withLock { $0.nextRenewal }
            guard (try? await clock.sleep(for: next - now())) != nil else { break }
            let began = now()
            do {
                guard case .held(let renewed) = try await renew(term, basedOn: known) else { break }
                known = renewed
                reportRenewal(of: term)
                failures.reset()
            } catch {
                // The server may have applied the write all the same: the next attempt reads the Lease first.
                known = nil
                term.machine.withLock { $0.didFail(attempt: began) }
                if !Task.isCancelled, failures.isNew(error) {
                    logger.warning("Failed to renew lease, retrying", metadata: metadata(error))
                }
            }
        }
        return .lost
    }

    /// One attempt, with a timeout that leaves time for another one.
    ///
    /// The connection of an attempt that timed out is not used again, so that the next attempt does not meet the same
    /// dead connection: HTTPTransport sets CURLOPT_FORBID_REUSE, and libcurl itself closes a connection whose transfer
    /// is removed before its end (lib/multi.c, `multi_done`: `reuse_forbid`, `premature`).
    private func renew(_ term: LeaderElectionTerm, basedOn known: StoredLease?) async throws -> LeaseAttempt {
        let time = now()
        let timeout = term.machine.withLock { $0.renewalTimeout(now: time) }
        return try await withThrowingTaskGroup(of: LeaseAttempt.self) { group in
            group.addTask { try await self.tryAcquireOrRenew(term, basedOn: known) }
            group.addTask {
                try await self.clock.sleep(for: timeout)
                throw KubernetesError(code: .timeout, message: "renew lease: no response within \(timeout)")
            }
            defer { group.cancelAll() }
            guard let attempt = try await group.next() else { throw CancellationError() }
            return attempt
        }
    }

    /// Ends the term at its deadline, even if a renewal hangs.
    private func waitForDeadline(of term: LeaderElectionTerm) async -> TermEnd {
        while let deadline = term.deadline {
            let remaining = deadline - now()
            guard remaining > .zero, (try? await clock.sleep(for: remaining)) != nil else { break }
        }
        return .lost
    }
}
