// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import KubernetesAPI
import KubernetesClient
import Logging
import Synchronization

extension LeaderElector {
    /// The outcome of an attempt to acquire or renew the Lease.
    enum LeaseAttempt: Sendable {
        /// This candidate holds the Lease, which is now as written here.
        case held(StoredLease)
        /// Another candidate holds it, until then if it does not renew.
        case standby(until: Duration)
    }

    /// Retries until this candidate holds the Lease.
    ///
    /// - Returns: the Lease as it was written.
    func acquire(
        _ term: LeaderElectionTerm,
        _ acquireDelay: inout AcquireDelay,
        _ isFit: @Sendable () -> Bool
    ) async throws -> StoredLease {
        var holder: String?
        var failures = FailureLog()
        while true {
            var wait = configuration.timing.retryPeriod
            do {
                let isFit = isFit()
                if isFit { acquireDelay.reset() }
                let delay = isFit ? .zero : acquireDelay.duration
                term.acquireDelay.withLock { $0 = delay }
                let attempt = try await tryAcquireOrRenew(term, basedOn: nil)
                health.attemptSucceeded()
                switch attempt {
                case .held(let lease):
                    reportRenewal(of: term)
                    return lease
                case .standby(let expiry):
                    failures.reset()
                    // Soon after the Lease has expired, and not before.
                    wait = min(wait, max(expiry - now(), .milliseconds(1)))
                }
            } catch {
                try Task.checkCancellation()
                health.attemptFailed("\(error)")
                if failures.isNew(error) {
                    logger.warning("Failed to acquire lease, retrying", metadata: metadata(error))
                }
            }
            let observed = term.machine.withLock { $0.observedHolder }
            if observed != holder, !observed.isEmpty, observed != configuration.identity {
                logger.notice("New leader detected", metadata: metadata.merging(["leader": "\(observed)"]) { $1 })
            }
            holder = observed
            try await clock.sleep(for: wait)
        }
    }

    /// Acquires or renews the Lease where the state machine decides so.
    ///
    /// - Parameter known: the Lease as last written, so that a leader renews with one request. If it has changed since
    ///   (another client may label it, or delete it), it is read and written again in the same attempt, as in client-go
    ///   (`tryAcquireOrRenew`). nil reads it first.
    func tryAcquireOrRenew(
        _ term: LeaderElectionTerm,
        basedOn known: StoredLease?
    ) async throws(KubernetesError) -> LeaseAttempt {
        if let known {
            do {
                return try await write(term, basedOn: known)
            } catch  where [.conflict, .notFound].contains(error.code) {}
        }
        let current: StoredLease?
        do {
            current = try await client.get(name: configuration.name, namespace: configuration.namespace)
        } catch  where error.code == .notFound {
            current = nil
        }
        return try await write(term, basedOn: current)
    }

    private func write(
        _ term: LeaderElectionTerm,
        basedOn known: StoredLease?
    ) async throws(KubernetesError) -> LeaseAttempt {
        let sent = now()
        let acquireDelay = term.acquireDelay.withLock { $0 }
        let decision = term.machine.withLock {
            $0.decide(
                on: known.map { LeaseRecord($0.lease.spec) },
                acquireDelay: acquireDelay,
                now: sent,
                wall: .now()
            )
        }
        let written: StoredLease
        let mayHaveHeld = term.mayHoldLease.load(ordering: .relaxed)
        do {
            switch decision {
            case .standby(let until): return .standby(until: until)
            case .create(let record):
                term.mayHoldLease.store(true, ordering: .relaxed)
                written = try await client.create(lease(record, basedOn: nil))
            case .update(let record):
                term.mayHoldLease.store(true, ordering: .relaxed)
                written = try await client.update(lease(record, basedOn: known))
            }
        } catch {
            // An earlier request of the term may have been applied.
            if error.wasDefinitelyNotApplied { term.mayHoldLease.store(mayHaveHeld, ordering: .relaxed) }
            throw error
        }
        guard term.machine.withLock({ $0.didWrite(sent: sent, now: now()) }) else {
            throw KubernetesError(code: .timeout, message: "renew lease: the response came after the renew deadline")
        }
        return .held(written)
    }

    private func lease(_ record: LeaseRecord, basedOn known: StoredLease?) -> StoredLease {
        var stored = known ?? StoredLease()
        stored.lease.metadata.name = configuration.name
        stored.lease.metadata.namespace = configuration.namespace
        stored.lease.metadata.labels = configuration.labels
        record.write(to: &stored.lease.spec)
        return stored
    }

    func reportRenewal(of term: LeaderElectionTerm) {
        guard let sent = term.machine.withLock({ $0.renewedAt }) else { return }
        health.renewed(ago: now() - sent)
    }

    /// Releases the Lease unless another candidate holds it. A failure is logged.
    func releaseLease() async {
        do {
            var stored: StoredLease = try await client.get(
                name: configuration.name,
                namespace: configuration.namespace
            )
            let machine = LeaderElectionStateMachine(identity: configuration.identity, timing: configuration.timing)
            guard let record = machine.release(LeaseRecord(stored.lease.spec), wall: .now()) else { return }
            record.write(to: &stored.lease.spec)
            try await client.update(stored)
            logger.notice("Released lease", metadata: metadata)
        } catch {
            logger.warning("Failed to release lease, it expires on its own", metadata: metadata(error))
        }
    }
}
