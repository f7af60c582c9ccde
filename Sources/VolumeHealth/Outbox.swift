// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// What has to be told on which claim, and when: the difference between what is so and what was told.
///
/// The outbox holds one entry for every claim whose volume is not well, or was told so. It compares two values, the
/// conditions that hold and the conditions that were told, so that nothing is lost and nothing queues up: however long
/// the API server is away, a claim is told its latest state once; a volume that recovers before it was told is not
/// told at all. Transitions come before refreshes, each in the order in which they became due.
///
/// Pure: time is passed in as a `Duration` since any fixed moment of a monotonic clock.
struct Outbox: Sendable {
    private struct Entry {
        var claim: Claim
        var volumeHandle: String
        /// What is so.
        var current: [VolumeHealthCondition]
        /// What people know.
        var told: [VolumeHealthCondition] = []
        var lastTold: Duration = .zero
        /// Set while an announcement of it is under way: what that announcement says.
        var inFlight: [VolumeHealthCondition]?
        /// An answer was lost: people may know what `told` does not say. Then a recovery is told in any case; one that
        /// nobody waited for does less harm than one that never comes.
        var mayBeTold = false
        /// How often in a row the API server refused this one.
        var refusals = 0
        var notBefore: Duration = .zero
        /// The item in one of the queues that counts; others that name this entry are stale.
        var scheduled: Scheduled?
    }

    private struct Scheduled: Equatable {
        var cause: Announcement.Cause
        var due: Duration
        var ticket: UInt64

        init(cause: Announcement.Cause, due: Duration, ticket: UInt64) {
            self.cause = cause
            self.due = due
            self.ticket = ticket
        }

        init(cause: Announcement.Cause, item: DueQueue<String>.Item) {
            self.init(cause: cause, due: item.due, ticket: item.ticket)
        }
    }

    private let timing: ReportTiming
    /// By claim uid.
    private var entries: [String: Entry] = [:]
    private var transitions = DueQueue<String>()
    private var refreshes = DueQueue<String>()
    /// While the API server is unreachable nothing is handed out before this moment.
    private var pausedUntil: Duration = .zero
    private var failures = 0

    init(timing: ReportTiming) {
        self.timing = timing
    }

    var isEmpty: Bool { entries.isEmpty }

    /// Items in the queues, stale ones included.
    var queuedItems: Int { transitions.count + refreshes.count }

    var claims: [(claim: Claim, volumeHandle: String)] {
        entries.values.map { ($0.claim, $0.volumeHandle) }
    }

    /// Whether the claim is in the outbox: it was told of a condition, or is about to be.
    func contains(claimUID: String) -> Bool {
        entries[claimUID] != nil
    }

    /// Sets what is so.
    mutating func set(_ conditions: [VolumeHealthCondition], for claim: Claim, volumeHandle: String, at now: Duration) {
        if entries[claim.uid] == nil, conditions.isEmpty { return }
        var entry = entries[claim.uid] ?? Entry(claim: claim, volumeHandle: volumeHandle, current: [])
        entry.claim = claim
        entry.volumeHandle = volumeHandle
        entry.current = conditions
        put(entry, at: now)
    }

    /// Forgets a claim that is gone or has another volume now.
    mutating func remove(claimUID: String) {
        entries[claimUID] = nil
    }

    /// What to do now. An announcement that is handed out is under way until ``settle(_:_:at:)``.
    mutating func next(at now: Duration) -> ReportStep {
        if now < pausedUntil { return .wait(until: pausedUntil) }
        if let announcement = take(.transition, from: \.transitions, at: now)
            ?? take(.refresh, from: \.refreshes, at: now)
        {
            return .tell(announcement)
        }
        return .wait(until: [transitions.first?.due, refreshes.first?.due].compactMap(\.self).min())
    }

    /// How an announcement went.
    mutating func settle(_ announcement: Announcement, _ outcome: ReportOutcome, at now: Duration) {
        switch outcome {
        case .unreachable(let retryAfter):
            failures += 1
            pausedUntil = now + max(retryAfter ?? .zero, timing.backoff(afterFailures: failures))
        case .unanswered:
            failures += 1
            pausedUntil = now + timing.backoff(afterFailures: failures)
        case .told, .refused, .gone:
            failures = 0
        }
        // Forgotten meanwhile, or forgotten and begun anew: this outcome is nobody's.
        guard var entry = entries[announcement.claim.uid], let said = entry.inFlight else { return }
        entry.inFlight = nil
        switch outcome {
        case .told:
            entry.told = said
            entry.mayBeTold = false
            entry.lastTold = now
            entry.refusals = 0
            entry.notBefore = .zero
        case .refused:
            entry.refusals += 1
            entry.notBefore = now + timing.backoff(afterFailures: entry.refusals)
        case .unreachable:
            break
        case .unanswered:
            entry.mayBeTold = true
        case .gone:
            entries[announcement.claim.uid] = nil
            return
        }
        put(entry, at: now)
    }

    private mutating func take(
        _ cause: Announcement.Cause,
        from queue: WritableKeyPath<Self, DueQueue<String>>,
        at now: Duration
    ) -> Announcement? {
        while let item = self[keyPath: queue].first, item.due <= now {
            self[keyPath: queue].removeFirst()
            guard var entry = entries[item.element], entry.scheduled == Scheduled(cause: cause, item: item) else {
                continue
            }
            entry.scheduled = nil
            entry.inFlight = entry.current
            entries[item.element] = entry
            return Announcement(
                claim: entry.claim,
                volumeHandle: entry.volumeHandle,
                conditions: entry.current,
                cause: cause
            )
        }
        return nil
    }

    /// Stores an entry with what it needs next in a queue, or drops it when it needs nothing any more.
    private mutating func put(_ entry: Entry, at now: Duration) {
        var entry = entry
        // While an announcement is under way nothing is planned: its outcome decides.
        if entry.inFlight == nil {
            guard let (cause, due) = plan(entry, at: now) else {
                entries[entry.claim.uid] = nil
                return
            }
            if entry.scheduled?.cause != cause || entry.scheduled?.due != due {
                let queue = cause == .transition ? \Self.transitions : \Self.refreshes
                let ticket = self[keyPath: queue].insert(entry.claim.uid, due: due)
                entry.scheduled = Scheduled(cause: cause, due: due, ticket: ticket)
            }
        }
        entries[entry.claim.uid] = entry
    }

    /// What an entry needs next and when; nil when its claim is well and knows it.
    private func plan(_ entry: Entry, at now: Duration) -> (Announcement.Cause, due: Duration)? {
        let isNews = Set(entry.current.map(\.identity)) != Set(entry.told.map(\.identity))
        if isNews || entry.current.isEmpty && entry.mayBeTold {
            // One that waits already keeps its place when a sweep finds the same again.
            if let scheduled = entry.scheduled, scheduled.cause == .transition { return (.transition, scheduled.due) }
            return (.transition, max(now, entry.notBefore))
        }
        if entry.current.isEmpty { return nil }
        let interval = entry.current == entry.told ? timing.refreshInterval : timing.messageInterval
        return (.refresh, max(entry.lastTold + interval, entry.notBefore))
    }
}
