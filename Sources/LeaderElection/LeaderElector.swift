// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import KubernetesAPI
package import KubernetesClient
package import Logging
import Synchronization

/// Thrown by what a leader runs: the lease is given back, for this process cannot do the work now and another may.
package struct StepDown: Error {
    /// A word for metrics, one of a few.
    package var kind: String
    /// Why, for people.
    package var reason: String

    /// Names the reason.
    package init(kind: String, reason: String) {
        self.kind = kind
        self.reason = reason
    }
}

/// What happens to a candidate's leadership.
package enum LeadershipChange: Sendable {
    /// How leadership ended.
    package enum End: Sendable {
        /// The Lease could not be renewed, or another candidate has taken it.
        case lost
        /// It was given back, for the work could not be done.
        case steppedDown(StepDown)
        /// It was given back at the end of the work.
        case released
    }

    /// The lease was taken.
    case began
    /// The lease is not held any more.
    case ended(End)
}

/// Runs something in one process at a time among all that contend for one Lease.
///
/// Compatible with client-go's leader election: candidates of both may contend for the same Lease. Give it a
/// ``KubernetesClient/KubernetesClient`` of its own: a client that is throttled by other work would lose the lease.
///
/// RBAC: `get`, `create` and `update` on `leases` (coordination.k8s.io) in the Lease's namespace.
package struct LeaderElector<C: Clock>: Sendable where C.Duration == Duration, C.Instant: Sendable {
    /// What to contend for, and as whom.
    package struct Configuration: Sendable {
        /// The Lease's namespace.
        package var namespace: String
        /// The Lease's name, see ``LeaseName``.
        package var name: String
        /// Who we are. Unique among the candidates.
        package var identity: String
        /// Labels that the Lease is given, beside those that others gave it.
        package var labels: [String: String]
        /// The periods.
        package var timing: LeaderElectionTiming

        /// Describes a Lease and a candidate.
        package init(
            namespace: String,
            name: String,
            identity: String,
            labels: [String: String] = [:],
            timing: LeaderElectionTiming
        ) {
            self.namespace = namespace
            self.name = name
            self.identity = identity
            self.labels = labels
            self.timing = timing
        }
    }

    private let client: KubernetesClient
    private let configuration: Configuration
    private let clock: C
    private let origin: C.Instant
    private let health: LeaderElectionHealth<C>
    private let logger: Logger
    private let changed: @Sendable (LeadershipChange) async -> Void
    private let office = CurrentTerm()

    /// A candidate. Nothing is asked before ``run(isFit:_:)``.
    ///
    /// - Parameter changed: called when leadership begins and ends, beside the work. It delays nothing, and is cancelled when
    ///   ``run(isFit:_:)`` ends; that of the end of leadership has ``releaseTimeout`` where the process ends too.
    package init(
        client: KubernetesClient,
        configuration: Configuration,
        clock: C,
        health: LeaderElectionHealth<C>,
        logger: Logger,
        changed: @escaping @Sendable (LeadershipChange) async -> Void = { _ in }
    ) {
        self.client = client
        self.configuration = configuration
        self.clock = clock
        self.origin = clock.now
        self.health = health
        self.logger = logger
        self.changed = changed
    }

    /// Whether the lease is ours, now: held, and renewed lately enough that no other candidate may take it.
    ///
    /// A process that was stopped for a while (a frozen container, a paused machine) goes on where it was, before
    /// anything has reported it that its time is over. To be asked before whatever only the leader may do.
    package var isLeading: Bool {
        office.term?.deadline.map { now < $0 } ?? false
    }

    /// Time as the state machine takes it.
    private var now: Duration { origin.duration(to: clock.now) }

    /// Contends for the lease, again and again, and runs `lead` whenever it is held.
    ///
    /// A renewal that fails is tried again: at once, then every second, for retry period + renew deadline after the last
    /// one that succeeded was sent, but at most until midway between the renew deadline and the lease duration (with
    /// 15 s/10 s/5 s: 12.5 s). Then `lead` is cancelled and awaited: it must end within half of lease duration - renew
    /// deadline, after which another candidate may hold the lease. After that we are a candidate again.
    ///
    /// When `lead` throws ``StepDown``, the lease is given back at once, and we are a candidate again.
    ///
    /// - Parameter isFit: whether this candidate can do the work. One that cannot takes the lease only when it has had no
    ///   holder for a lease duration; after it has stepped down twice in a row for two of them, and at most for four.
    /// - Returns: when `lead` returns by itself; the lease is released then.
    /// - Throws: what else `lead` throws, after the lease is released. On cancellation `lead` is cancelled and awaited, the
    ///   lease is released (within ``releaseTimeout``) and `CancellationError` is thrown.
    package func run(
        isFit: @escaping @Sendable () -> Bool = { true },
        _ lead: @escaping @Sendable () async throws -> Void
    ) async throws {
        try await withThrowingDiscardingTaskGroup { changes in
            var handicap = Handicap(leaseDuration: .seconds(Int64(configuration.timing.leaseDurationSeconds)))
            while true {
                let term = Term(identity: configuration.identity, timing: configuration.timing)
                let lease: Lease
                do {
                    lease = try await acquire(term, &handicap, isFit)
                } catch {
                    if term.mayBeHeld.load(ordering: .relaxed) { await release() }
                    throw error
                }
                logger.notice("Became leader", metadata: metadata)
                changes.addTask { await changed(.began) }
                office.term = term
                let end = await serve(term, lease, lead)
                office.term = nil
                health.leads(since: nil)
                switch end {
                case .leadEnded(.failure(let error as StepDown)):
                    logger.warning(
                        "Stepped down, leaving the lease to another replica",
                        metadata: metadata.merging(["reason": "\(error.reason)"]) { $1 }
                    )
                    handicap.stepDowns += 1
                    await release()
                    changes.addTask { await changed(.ended(.steppedDown(error))) }
                case .leadEnded(let result):
                    await release(changed: .ended(.released))
                    return try result.get()
                case .lost:
                    handicap.stepDowns = 0
                    logger.error("Lost leadership", metadata: metadata)
                    changes.addTask { await changed(.ended(.lost)) }
                }
                try Task.checkCancellation()
            }
        }
    }

    /// How long giving the lease back may take before the process leaves without.
    package static var releaseTimeout: Duration { .seconds(3) }

    private var metadata: Logger.Metadata {
        [
            "lease": ["namespace": "\(configuration.namespace)", "name": "\(configuration.name)"],
            "identity": "\(configuration.identity)",
        ]
    }
}

// MARK: A term: from taking the lease to losing it or giving it back

extension LeaderElector {
    private final class Term: Sendable {
        let machine: Mutex<LeaderElectionStateMachine>
        /// The lease was asked for, and the answer has not come.
        let mayBeHeld = Atomic(false)
        /// See ``LeaderElectionStateMachine/look(at:version:handicap:now:wall:)``.
        let handicap = Mutex(Duration.zero)

        init(identity: String, timing: LeaderElectionTiming) {
            machine = Mutex(LeaderElectionStateMachine(identity: identity, timing: timing))
        }

        var deadline: Duration? { machine.withLock { $0.deadline } }
    }

    /// The term that is going on.
    private final class CurrentTerm: Sendable {
        private let current = Mutex<Term?>(nil)

        var term: Term? {
            get { current.withLock { $0 } }
            set { current.withLock { $0 = newValue } }
        }
    }

    private enum End: Sendable {
        case leadEnded(Result<Void, any Error>)
        case lost
    }

    /// Runs `lead` until it ends or the lease is lost; it has ended when this returns.
    private func serve(
        _ term: Term,
        _ lease: Lease,
        _ lead: @escaping @Sendable () async throws -> Void
    ) async -> End {
        await withTaskGroup(of: End.self) { group in
            group.addTask {
                do {
                    return .leadEnded(.success(try await lead()))
                } catch {
                    return .leadEnded(.failure(error))
                }
            }
            group.addTask { await renewUntilLost(term, lease) }
            group.addTask { await watchDeadline(of: term) }
            var end = await group.next() ?? .lost
            group.cancelAll()
            for await other in group {
                // Cancelled from outside: the renewer may be the first to notice, yet nothing was lost.
                if Task.isCancelled, case .leadEnded = other { end = other }
            }
            return end
        }
    }

    private func renewUntilLost(_ term: Term, _ lease: Lease) async -> End {
        var known: Lease? = lease
        var failures = FailureLog()
        while !Task.isCancelled {
            let next = term.machine.withLock { $0.nextRenewal }
            guard (try? await sleep(next - now)) != nil else { break }
            let began = now
            do {
                guard case .held(let renewed) = try await renew(term, basedOn: known) else { break }
                known = renewed
                noteRenewal(of: term)
                failures.reset()
            } catch {
                // The request may have been served all the same: the next attempt reads the Lease first.
                known = nil
                term.machine.withLock { $0.didFail(attempt: began) }
                if !Task.isCancelled, failures.isNew(error) {
                    logger.warning("Failed to renew the lease, retrying", metadata: metadata(error))
                }
            }
        }
        return .lost
    }

    /// An attempt that is given up in time for another one.
    ///
    /// The connection of a request that is given up is not used again, so that the next attempt does not meet the same
    /// dead one: HTTPTransport sets CURLOPT_FORBID_REUSE, and libcurl itself closes a connection whose transfer is removed
    /// before its end (lib/multi.c, `multi_done`: `reuse_forbid`, `premature`).
    private func renew(_ term: Term, basedOn known: Lease?) async throws -> Look {
        let limit = term.machine.withLock { $0.renewalLimit(now: now) }
        return try await withThrowingTaskGroup(of: Look.self) { group in
            group.addTask { try await attempt(term, basedOn: known) }
            group.addTask {
                try await sleep(limit)
                throw KubernetesError(code: .timeout, message: "renew the lease: not complete after \(limit)")
            }
            defer { group.cancelAll() }
            guard let look = try await group.next() else { throw CancellationError() }
            return look
        }
    }

    /// A renewal that hangs must not keep us in office: this ends the term at the deadline, whatever the renewer does.
    private func watchDeadline(of term: Term) async -> End {
        while let deadline = term.deadline, now < deadline {
            guard (try? await sleep(deadline - now)) != nil else { break }
        }
        return .lost
    }
}

/// How long a candidate leaves a Lease without a holder to others, for it could not do the work.
private struct Handicap {
    let leaseDuration: Duration
    /// In a row.
    var stepDowns = 0

    var duration: Duration { leaseDuration * (1 << min(max(stepDowns - 1, 0), 2)) }
}

/// Which failure of a series is worth a line in the log: the first, and each that has another cause than the one before. What
/// follows an outage of the API server, such as a certificate that does not fit, must not be hidden by it.
private struct FailureLog {
    private var last: String?

    mutating func isNew(_ error: any Error) -> Bool {
        let cause = (error as? KubernetesError)?.kind ?? "\(error)"
        defer { last = cause }
        return cause != last
    }

    mutating func reset() { last = nil }
}

// MARK: Asking the API server

extension LeaderElector {
    /// What an attempt ended with.
    private enum Look: Sendable {
        /// The lease is ours; the Lease as it was written.
        case held(Lease)
        /// Another candidate holds it, until then if it does not renew.
        case standby(until: Duration)
    }

    /// Returns when the lease is ours, with the Lease as it was written.
    private func acquire(
        _ term: Term,
        _ handicap: inout Handicap,
        _ isFit: @Sendable () -> Bool
    ) async throws -> Lease {
        var holder: String?
        var failures = FailureLog()
        while true {
            var wait = configuration.timing.retryPeriod
            do {
                let isFit = isFit()
                if isFit { handicap.stepDowns = 0 }
                term.handicap.withLock { $0 = isFit ? .zero : handicap.duration }
                switch try await attempt(term, basedOn: nil) {
                case .held(let lease):
                    noteRenewal(of: term)
                    return lease
                case .standby(let expiry):
                    failures.reset()
                    // Not long after the lease has run out, and not before.
                    wait = min(wait, max(expiry - now, .milliseconds(1)))
                }
            } catch {
                try Task.checkCancellation()
                if failures.isNew(error) {
                    logger.warning("Failed to acquire the lease, retrying", metadata: metadata(error))
                }
            }
            let observed = term.machine.withLock { $0.observedHolder }
            if observed != holder, !observed.isEmpty, observed != configuration.identity {
                logger.notice("Another replica is leader", metadata: metadata.merging(["holder": "\(observed)"]) { $1 })
            }
            holder = observed
            try await sleep(wait)
        }
    }

    /// Looks at the Lease and takes or renews it where that is right.
    ///
    /// - Parameter known: the Lease as last written, so that a leader renews with one request. When it has changed since
    ///   (another client may label it, or delete it), it is read and written again in the same attempt, as client-go does
    ///   (`tryAcquireOrRenew`). nil reads it first.
    private func attempt(_ term: Term, basedOn known: Lease?) async throws(KubernetesError) -> Look {
        if let known {
            do {
                return try await write(term, basedOn: known)
            } catch  where [.conflict, .notFound].contains(error.code) {}
        }
        let current: Lease?
        do {
            current = try await client.get(Lease.self, name: configuration.name, namespace: configuration.namespace)
        } catch  where error.code == .notFound {
            current = nil
        }
        return try await write(term, basedOn: current)
    }

    /// Writes the Lease where what it says allows it.
    private func write(_ term: Term, basedOn known: Lease?) async throws(KubernetesError) -> Look {
        let sent = now
        let handicap = term.handicap.withLock { $0 }
        let decision = term.machine.withLock {
            $0.look(
                at: known.map { LeaseRecord($0.spec) },
                version: known?.metadata.resourceVersion ?? "",
                handicap: handicap,
                now: sent,
                wall: .now()
            )
        }
        let written: Lease
        do {
            switch decision {
            case .stand(let until): return .standby(until: until)
            case .create(let record):
                term.mayBeHeld.store(true, ordering: .relaxed)
                written = try await client.create(object(record, basedOn: nil))
            case .update(let record):
                term.mayBeHeld.store(true, ordering: .relaxed)
                written = try await client.update(object(record, basedOn: known))
            }
        } catch {
            if error.wasDefinitelyNotApplied { term.mayBeHeld.store(false, ordering: .relaxed) }
            throw error
        }
        term.machine.withLock { $0.didWrite(sent: sent) }
        return .held(written)
    }

    private func noteRenewal(of term: Term) {
        health.leads(since: term.machine.withLock { $0.renewedAt }.map { origin.advanced(by: $0) })
    }

    private func object(_ record: LeaseRecord, basedOn known: Lease?) -> Lease {
        var lease = known ?? Lease()
        lease.metadata.name = configuration.name
        lease.metadata.namespace = configuration.namespace
        lease.metadata.labels.merge(configuration.labels) { $1 }
        record.write(to: &lease.spec)
        return lease
    }

    /// Gives the lease back, so that the next leader need not wait until it runs out. Best effort.
    private func release(changed change: LeadershipChange? = nil) async {
        // Not part of the caller's task tree on purpose: the caller is being cancelled, and this must still happen.
        // Awaited here, and bounded by the time limit.
        await Task {
            await withTaskGroup(of: Void.self) { group in
                group.addTask {
                    await releaseLease()
                    if let change { await changed(change) }
                }
                group.addTask { try? await sleep(Self.releaseTimeout) }
                await group.next()
                group.cancelAll()
            }
        }.value
    }

    private func releaseLease() async {
        do {
            var lease = try await client.get(
                Lease.self,
                name: configuration.name,
                namespace: configuration.namespace
            )
            let machine = LeaderElectionStateMachine(identity: configuration.identity, timing: configuration.timing)
            guard let record = machine.release(LeaseRecord(lease.spec), wall: .now()) else { return }
            record.write(to: &lease.spec)
            _ = try await client.update(lease)
            logger.notice("Released the lease", metadata: metadata)
        } catch {
            logger.warning("Failed to release the lease, it expires by itself", metadata: metadata(error))
        }
    }

    private func sleep(_ duration: Duration) async throws {
        try await clock.sleep(until: clock.now.advanced(by: duration), tolerance: nil)
    }

    private func metadata(_ error: any Error) -> Logger.Metadata {
        metadata.merging(["err": "\(error)"]) { $1 }
    }
}
