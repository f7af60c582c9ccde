// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import KubernetesAPI

/// Decides who leads, from what the Lease says and when this candidate observed it. The algorithm is client-go's, so
/// that both can contend for the same Lease.
///
/// Pure: `now` is a `Duration` since any fixed moment of a monotonic clock. `wall` is only written to the Lease.
struct LeaderElectionStateMachine: Sendable {
    enum Decision: Sendable, Hashable {
        /// The Lease does not exist: create it with this record.
        case create(LeaseRecord)
        /// Acquire or renew the Lease: update the observed version with this record.
        case update(LeaseRecord)
        /// Do not write. Read the Lease again then, at the latest: unless its holder renews it, it can be acquired.
        case standby(until: Duration)
    }

    let identity: String
    let timing: LeaderElectionTiming
    /// The last observed record. As in client-go (`observedRawRecord`), only another record is a renewal: another
    /// version of the Lease may be a label or an annotation that another client has set. A renewal changes `renewTime`,
    /// because the API server does not store an update without a change.
    private var observed: LeaseRecord?
    /// When that record was observed first.
    private var observedAt: Duration = .zero
    /// Since when the Lease has had no holder, as far as observed; nil while it has one.
    private var freeSince: Duration?
    /// When the last successful write was sent; nil before the first successful write of this term. The time of
    /// sending, not of the response: other candidates count from when the server stored the write, which is later.
    private(set) var renewedAt: Duration?
    /// How many attempts have failed since the last renewal.
    private var failures = 0
    /// When the last of them began.
    private var failedAttempt: Duration = .zero

    init(identity: String, timing: LeaderElectionTiming) {
        self.identity = identity
        self.timing = timing
    }

    /// When a leader must have stopped if it has not renewed by then; nil before the first successful write of this
    /// term.
    ///
    /// The first attempt of a renewal is due one retry period after the last renewal was sent, and retries go on for
    /// the renew deadline, as in client-go (`tools/leaderelection/leaderelection.go`, `renew`: the timeout starts with
    /// the first attempt). There, retries may reach the end of the lease and beyond: client-go does not promise
    /// fencing. Here, the leader stops before others may acquire the Lease: at the latest midway between the renew
    /// deadline and the lease duration. Others count from when the last renewal was stored, which is not before it was
    /// sent, so the rest of the lease duration is for stopping the work.
    var deadline: Duration? {
        renewedAt.map { sent in
            let window = timing.retryPeriod + timing.renewDeadline
            let fence = (timing.storedLeaseDuration + timing.renewDeadline) / 2
            return sent + min(window, fence)
        }
    }

    /// When a leader tries to renew next; now, if this is in the past.
    ///
    /// One retry period after the last renewal was sent. After the first failure at once, as client-go goes on with GET
    /// and update within one attempt; after further failures every second, or every retry period if that is shorter.
    var nextRenewal: Duration {
        switch failures {
        case 0: (renewedAt ?? .zero) + timing.retryPeriod
        case 1: failedAttempt
        default: failedAttempt + min(timing.retryPeriod, .seconds(1))
        }
    }

    /// The timeout of a renewal that begins now: half of the renew deadline, as for a request of client-go
    /// (`tools/leaderelection/resourcelock/interface.go`, `NewFromKubeconfig`), and at most two thirds of the time that
    /// remains, to leave time for another attempt.
    func renewalTimeout(now: Duration) -> Duration {
        let remaining = max((deadline ?? now) - now, .zero)
        return min(timing.renewDeadline / 2, remaining * 2 / 3)
    }

    /// The holder of the Lease when it was last observed; empty if it had none.
    var observedHolder: String { observed?.holderIdentity ?? "" }

    /// Decides what to do with a Lease that was read just now.
    ///
    /// - Parameters:
    ///   - record: what the Lease says; nil if it does not exist.
    ///   - acquireDelay: how long the Lease must have had no holder before this candidate acquires it. A leader renews
    ///     without this delay.
    mutating func decide(
        on record: LeaseRecord?,
        acquireDelay: Duration = .zero,
        now: Duration,
        wall: Time
    ) -> Decision {
        let acquireDelay = renewedAt == nil ? acquireDelay : .zero
        guard let record else {
            observed = nil
            return delayedUntil(acquireDelay, freeAt: now, now: now).map(Decision.standby)
                ?? .create(newRecord(after: nil, wall: wall))
        }
        if record != observed {
            observed = record
            observedAt = now
            freeSince = nil
        }
        let expiry = observedAt + .seconds(Int64(record.leaseDurationSeconds))
        // With a delay, a Lease that this identity holds and failed to release counts as another candidate's.
        let mayRenew = record.holderIdentity == identity && acquireDelay == .zero
        if !mayRenew, !record.holderIdentity.isEmpty, now < expiry {
            return .standby(until: expiry)
        }
        let freeAt = record.holderIdentity.isEmpty ? observedAt : expiry
        if !mayRenew, let until = delayedUntil(acquireDelay, freeAt: freeAt, now: now) { return .standby(until: until) }
        return .update(newRecord(after: record, wall: wall))
    }

    /// Until when a Lease without a holder is left to other candidates; nil if it can be acquired now.
    private mutating func delayedUntil(_ delay: Duration, freeAt: Duration, now: Duration) -> Duration? {
        let since = freeSince ?? freeAt
        freeSince = since
        return now < since + delay ? since + delay : nil
    }

    /// The record that was decided on was written, by a request sent at `sent`: this candidate leads.
    ///
    /// - Returns: false if the term had expired before the response came, as in a process that was frozen. An expired
    ///   term does not go on: its work has stopped.
    mutating func didWrite(sent: Duration, now: Duration) -> Bool {
        if let deadline, now >= deadline { return false }
        renewedAt = sent
        failures = 0
        return true
    }

    /// A renewal that began at `attempt` failed.
    mutating func didFail(attempt: Duration) {
        failures += 1
        failedAttempt = attempt
    }

    /// The record that releases the Lease; nil if another candidate holds it.
    func release(_ record: LeaseRecord, wall: Time) -> LeaseRecord? {
        guard record.holderIdentity == identity else { return nil }
        return LeaseRecord(
            holderIdentity: "",
            leaseDurationSeconds: 1,
            acquireTime: wall,
            renewTime: wall,
            leaseTransitions: record.leaseTransitions
        )
    }

    private func newRecord(after record: LeaseRecord?, wall: Time) -> LeaseRecord {
        var new = LeaseRecord(
            holderIdentity: identity,
            leaseDurationSeconds: timing.leaseDurationSeconds,
            acquireTime: wall,
            renewTime: wall,
            leaseTransitions: 0
        )
        if let record {
            let isOurs = record.holderIdentity == identity
            new.leaseTransitions = isOurs ? record.leaseTransitions : record.leaseTransitions &+ 1
            if isOurs {
                new.acquireTime = record.acquireTime
                // The API server would not store a record without a change, and others would see no renewal.
                if new.renewTime == record.renewTime { new.renewTime = record.renewTime.aMicrosecondLater }
            }
        }
        return new
    }
}

extension Time {
    /// The smallest later time that a Lease can store.
    fileprivate var aMicrosecondLater: Time {
        var later = self
        later.nanos += 1000
        if later.nanos >= 1_000_000_000 { (later.seconds, later.nanos) = (seconds &+ 1, later.nanos - 1_000_000_000) }
        return later
    }
}
