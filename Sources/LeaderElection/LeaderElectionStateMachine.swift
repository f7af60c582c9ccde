// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import KubernetesAPI

/// Who leads, decided from what the Lease said and when we saw it say so. client-go's algorithm, so that its
/// candidates and ours may contend for the same Lease.
///
/// Pure: `now` is a `Duration` since any fixed moment of a monotonic clock; `wall` is only ever written down.
struct LeaderElectionStateMachine: Sendable {
    /// What to do after a look at the Lease.
    enum Decision: Sendable, Hashable {
        /// There is no Lease: create it with this record.
        case create(LeaseRecord)
        /// Take or renew the Lease: update it with this record, on the version that was seen.
        case update(LeaseRecord)
        /// Somebody else leads. Worth a look when the lease may have run out.
        case stand(until: Duration)
    }

    let identity: String
    let timing: LeaderElectionTiming
    /// The last version of the Lease that was seen, and when it was first seen. Versions and not the records' times:
    /// a holder whose clock stands still, or was set back, renews all the same.
    private var observed: (version: String, holder: String)?
    private var observedAt: Duration = .zero
    /// Since when the Lease has no holder, as far as was seen; nil while it has one.
    private var freeSince: Duration?
    /// When the last successful write was sent, while we lead. Sent, not answered: others count from when the server
    /// stored it, which is later.
    private(set) var renewedAt: Duration?
    /// Attempts to renew that failed since then, and when the last of them began.
    private var failures = 0
    private var failedAttempt: Duration = .zero

    init(identity: String, timing: LeaderElectionTiming) {
        self.identity = identity
        self.timing = timing
    }

    /// When a leader that has not renewed must have stopped; nil before the lease was taken.
    ///
    /// The first attempt of a renewal is due one retry period after the last renewal was sent, and has the renew deadline,
    /// as in client-go (`tools/leaderelection/leaderelection.go`, `renew`: the timeout starts with the first attempt). There
    /// it may reach to the end of the lease and beyond it: client-go promises no fencing. Here others count from when the
    /// last renewal was stored, which is not before it was sent, and the leader stops earlier than they may take over: half
    /// of the time between the renew deadline and the lease duration is for retries, half for stopping.
    var deadline: Duration? {
        renewedAt.map { sent in
            let window = timing.retryPeriod + timing.renewDeadline
            let fence = (.seconds(Int64(timing.leaseDurationSeconds)) + timing.renewDeadline) / 2
            return sent + min(window, fence)
        }
    }

    /// When a leader tries to renew next; a moment that has passed: at once.
    ///
    /// One retry period after the last renewal was sent. After a failure at once, as client-go goes on with GET and update
    /// in the same attempt, and then once in a second, or in a retry period where that is shorter.
    var nextRenewal: Duration {
        switch failures {
        case 0: (renewedAt ?? .zero) + timing.retryPeriod
        case 1: failedAttempt
        default: failedAttempt + min(timing.retryPeriod, .seconds(1))
        }
    }

    /// How long an attempt to renew that begins now may take: half of the renew deadline, as a request in client-go
    /// (`tools/leaderelection/resourcelock/interface.go`, `NewFromKubeconfig`), and at most two thirds of the time that is
    /// left, so that another attempt fits in.
    func renewalLimit(now: Duration) -> Duration {
        let left = max((deadline ?? now) - now, .zero)
        return min(timing.renewDeadline / 2, left * 2 / 3)
    }

    /// The identity of whoever held the Lease when it was last seen.
    var observedHolder: String { observed?.holder ?? "" }

    /// The Lease was read: `record` is what it says, nil when there is none; `version` its resourceVersion.
    ///
    /// - Parameter handicap: how long the Lease must have had no holder before a candidate takes it; others take it before.
    mutating func look(
        at record: LeaseRecord?,
        version: String,
        handicap: Duration = .zero,
        now: Duration,
        wall: Time
    ) -> Decision {
        // A leader renews whatever its handicap is.
        let handicap = renewedAt == nil ? handicap : .zero
        guard let record else {
            observed = nil
            return wait(handicap, freeAt: now, now: now).map(Decision.stand)
                ?? .create(claim(following: nil, wall: wall))
        }
        if version != observed?.version {
            observed = (version, record.holderIdentity)
            observedAt = now
            freeSince = nil
        }
        let expiry = observedAt + .seconds(Int64(record.leaseDurationSeconds))
        // With a handicap also one of our own that we could not give back.
        let isOurs = record.holderIdentity == identity && handicap == .zero
        if !isOurs, !record.holderIdentity.isEmpty, now < expiry {
            return .stand(until: expiry)
        }
        let freeAt = record.holderIdentity.isEmpty ? observedAt : expiry
        if !isOurs, let until = wait(handicap, freeAt: freeAt, now: now) { return .stand(until: until) }
        return .update(claim(following: record, wall: wall))
    }

    /// Until when a Lease without a holder is left to others; nil: it may be taken.
    private mutating func wait(_ handicap: Duration, freeAt: Duration, now: Duration) -> Duration? {
        let since = freeSince ?? freeAt
        freeSince = since
        return now < since + handicap ? since + handicap : nil
    }

    /// What was decided was written: the lease is ours. The request left at `sent`.
    mutating func didWrite(sent: Duration) {
        renewedAt = sent
        failures = 0
    }

    /// An attempt to renew, begun at `attempt`, failed.
    mutating func didFail(attempt: Duration) {
        failures += 1
        failedAttempt = attempt
    }

    /// The record that gives the Lease back; nil when it is not ours to give.
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

    private func claim(following record: LeaseRecord?, wall: Time) -> LeaseRecord {
        var claim = LeaseRecord(
            holderIdentity: identity,
            leaseDurationSeconds: timing.leaseDurationSeconds,
            acquireTime: wall,
            renewTime: wall,
            leaseTransitions: 0
        )
        if let record {
            let isOurs = record.holderIdentity == identity
            claim.leaseTransitions = isOurs ? record.leaseTransitions : record.leaseTransitions &+ 1
            if isOurs { claim.acquireTime = record.acquireTime }
        }
        return claim
    }
}
