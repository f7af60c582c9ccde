// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// What has to be told on which claim, and when: the difference between what is so and what was told.
///
/// The outbox holds one entry for everything that is not clear, or was told so. It compares two values, the state that
/// holds and the state that was told, so that nothing is lost and nothing queues up: however long the API server is
/// away, the latest state is told once; what has passed before it was told is not told at all. Transitions come before
/// refreshes, each in the order in which they became due.
///
/// Pure: time is passed in as a `Duration` since any fixed moment of a monotonic clock.
struct Outbox<Key: Hashable & Sendable, State: Tellable>: Sendable {
    /// What people know.
    private struct Told: Equatable {
        /// nil when an earlier process told it, and only the fingerprint is known.
        var state: State?
        var fingerprint: Fingerprint
    }

    /// In an order that leaves little empty between the fields, for in an outage there is one for each volume.
    private struct Entry {
        /// What is so; nil until this process has found out.
        var current: State?
        /// Since when the current news hold.
        var since = CompactDuration(.zero)
        var lastTold = CompactDuration(.zero)
        /// Elsewhere, for hardly any entry has it: none or one.
        private var exceptions: [Exceptional] = []
        /// The item in one of the queues that counts; others that name this entry are stale.
        var scheduled: Scheduled?
        /// nil: nothing, or that it has passed.
        var told: Told?

        var exceptional: Exceptional {
            get { exceptions.first ?? Exceptional() }
            set { exceptions = newValue == Exceptional() ? [] : [newValue] }
        }
    }

    /// What an entry has while it is told, and when that failed.
    private struct Exceptional: Equatable {
        /// Set while an announcement of it is under way: what that announcement says.
        var inFlight: State?
        /// What the cluster has shown meanwhile.
        var observedInFlight: Observed?
        /// Which telling that announcement is.
        var telling: UInt64 = 0
        /// The last attempt whose answer was lost.
        var lost: LostAttempt?
        /// The number of the last announcement of it.
        var number: UInt64 = 0
        /// The answer to other news was lost: people may know them, or what `told` says. Then what holds is told in any
        /// case; a recovery that nobody waited for does less harm than one that never comes.
        var isUncertain = false
        /// How often in a row the API server refused this one.
        var refusals = 0
        var notBefore: Duration = .zero
    }

    /// What the cluster has shown.
    private enum Observed: Equatable {
        case state(State)
        /// Something that no state says.
        case other
    }

    /// Nobody knows whether it was told.
    private struct LostAttempt: Equatable {
        /// nil: that all is clear.
        var news: Fingerprint?
        /// The number of the first attempt.
        var telling: UInt64
    }

    private struct Scheduled: Equatable {
        var due: CompactDuration
        var ticket: DueQueue<Key>.Ticket
        var cause: AnnouncementCause
    }

    /// What is due.
    private struct Candidate {
        var key: Key
        var claim: Claim
        var cause: AnnouncementCause
        var entry: Entry
        var state: State
    }

    /// What an entry needs.
    private enum Plan {
        case tell(AnnouncementCause, due: Duration)
        /// Nothing for now, but what it knows is still wanted.
        case keep
        case forget
    }

    private var timing: ReportTiming
    /// When the time between refreshes was last made shorter.
    private var shortenedAt: Duration?
    private var entries = DenseDictionary<Key, Entry>()
    private var queues = ReportQueues<Key>()
    private var gates: NamespaceGates<Key>
    /// While the API server is unreachable nothing is handed out before this moment.
    private var pausedUntil: Duration = .zero
    private var failures = 0
    private var announcements: UInt64 = 0
    /// Up to this number, announcements are of an earlier term.
    private let announcementsBefore: UInt64

    /// An outbox that knows nothing.
    ///
    /// - Parameter previous: the outbox of the last term: numbers go on from its own, and no outcome of its announcements
    ///   counts here.
    init(timing: ReportTiming, after previous: Outbox? = nil) {
        self.timing = timing
        gates = NamespaceGates(timing: timing)
        announcements = previous?.announcements ?? 0
        announcementsBefore = announcements
    }

    var isEmpty: Bool { entries.isEmpty }

    /// Of each entry with its key, in bytes.
    static var entrySize: Int { MemoryLayout<DenseDictionary<Key, Entry>.Element>.stride }

    /// Items in the queues, stale ones included.
    var queuedItems: Int { queues.count + gates.waitingItems }

    /// How often something became due, or will. While this is the same, ``next(at:claim:)`` has nothing that it had not
    /// before.
    var plans: UInt64 { queues.insertions }

    /// How often a change was queued, also to be tried again.
    var adds: UInt64 { queues.transitionInsertions }

    /// Whether something was told of it, or is about to be.
    func contains(_ key: Key) -> Bool {
        entries.contains(key)
    }

    /// What is so, as far as this process knows.
    func current(_ key: Key) -> State? {
        entries[key]?.current
    }

    /// Since when the fingerprint of ``current(_:)`` is the same, as far as this process knows.
    func since(_ key: Key) -> Duration? {
        entries[key]?.since.duration
    }

    /// What is so, or else what was told by an earlier process; nil when it is clear, or nothing is known.
    func news(_ key: Key) -> Fingerprint? {
        guard let entry = entries[key] else { return nil }
        return entry.current.map { Self.news($0) } ?? entry.told?.fingerprint
    }

    /// What all of it is about.
    var keys: some Collection<Key> { entries.keys }

    /// Everything that is not clear.
    var adverse: some Sequence<(key: Key, state: State)> {
        entries.elements.lazy.compactMap { element in
            element.value.current.flatMap { $0.isClear ? nil : (element.key, $0) }
        }
    }

    /// Whether the API server forbids to report it, as far as is known: it did, and no report has succeeded since.
    var isForbidden: Bool { gates.isForbidden }

    /// How many transitions wait or are under way, and since when the oldest of them is so.
    var backlog: (depth: Int, oldest: Duration?) {
        let waiting = entries.values.filter { entry in
            guard let said = entry.exceptional.inFlight else { return entry.scheduled?.cause == .transition }
            return Self.news(said) != entry.told?.fingerprint
        }
        return (waiting.count, waiting.map(\.since).min()?.duration)
    }
}

// MARK: What is so, and what is known

extension Outbox {
    /// Sets what is so.
    mutating func set(_ state: State, for key: Key, at now: Duration) {
        if entries[key] == nil, state.isClear { return }
        var entry = entries[key] ?? Entry()
        // What an earlier process told and still holds has not begun now.
        let known = entry.current.map { Self.news($0) } ?? entry.told?.fingerprint
        if known != Self.news(state) || known == nil { entry.since = CompactDuration(now) }
        // Of equal states one is kept: what was told is mostly what is so.
        if entry.current != state { entry.current = state }
        put(entry, for: key, at: now)
    }

    /// An earlier process told this; what is so is not known yet (rule 9).
    ///
    /// - Parameter since: since when it is so; nil: `toldAt`.
    mutating func restore(told fingerprint: Fingerprint, for key: Key, toldAt time: Duration, since: Duration? = nil) {
        guard entries[key] == nil else { return }
        var entry = Entry()
        entry.told = Told(state: nil, fingerprint: fingerprint)
        entry.lastTold = CompactDuration(time)
        entry.since = CompactDuration(since ?? time)
        entries[key] = entry
    }

    /// The cluster shows this, from whichever process. A clear state: nothing; nil: something that no state says.
    mutating func observe(reported state: State?, for key: Key, at now: Duration) {
        var entry = entries[key] ?? Entry()
        let observed: Observed = state.map { .state(entry.current == $0 ? entry.current ?? $0 : $0) } ?? .other
        if entry.exceptional.inFlight != nil {
            // Whether the announcement came before or after it shows when that has ended.
            entry.exceptional.observedInFlight = observed
        } else {
            let told = Self.told(observed)
            if told != entry.told {
                entry.told = told
                entry.lastTold = CompactDuration(now)
            }
            entry.exceptional.isUncertain = false
            entry.exceptional.lost = nil
        }
        put(entry, for: key, at: now)
    }

    /// Halves the time between refreshes, not below ``ReportTiming/minimumRefreshInterval``, for those that are planned from
    /// now on; once in such a time, however many refreshes come too late.
    mutating func shortenRefreshInterval(at now: Duration) {
        guard let interval = timing.refreshInterval, shortenedAt.map({ now - $0 >= interval }) ?? true else { return }
        timing.refreshInterval = max(interval / 2, ReportTiming.minimumRefreshInterval)
        shortenedAt = now
    }

    /// Forgets what concerns nobody any more.
    mutating func remove(_ key: Key) {
        entries[key] = nil
    }

    /// What distinguishes one state from another; nil for all that are clear.
    private static func news(_ state: State) -> Fingerprint? {
        state.isClear ? nil : state.fingerprint
    }
}

// MARK: Telling

extension Outbox {
    /// What to do now. An announcement that is handed out is under way until ``settle(_:_:at:)``.
    ///
    /// - Parameter claim: whom to tell, as it is now; nil when it is gone, and then this is forgotten.
    mutating func next(at now: Duration, claim: (Key) -> Claim?) -> ReportStep<Key, State> {
        let pausedUntil = max(pausedUntil, gates.pausedUntil)
        if now < pausedUntil { return .wait(until: pausedUntil) }
        // While requests fail everywhere, one about a namespace that has not failed yet says more.
        if !gates.isCommonFailure, let announcement = takeWaiting(at: now, claim) { return .tell(announcement) }
        var parked = 0
        for cause in [AnnouncementCause.transition, .refresh] {
            while let item = queues.removeFirst(cause, dueBy: now) {
                guard let candidate = candidate(item, cause, claim) else { continue }
                let namespace = candidate.claim.key.namespace
                if gates.isOpen(namespace, at: now) { return .tell(begin(candidate, at: now)) }
                gates.park(item, cause, in: namespace)
                parked += 1
                // Others wait for the lock: the rest at once, but in another call.
                if parked == Self.longestWalk { return .wait(until: now) }
            }
        }
        if gates.isCommonFailure, let announcement = takeWaiting(at: now, claim) { return .tell(announcement) }
        return .wait(until: [queues.firstDue, gates.nextOpening].compactMap(\.self).min())
    }

    /// How many items one call sets aside at most.
    private static var longestWalk: Int { 256 }

    /// How an announcement went.
    ///
    /// - Returns: whether it is a failure that is worth a warning: the first of its claim, its namespace, or of all.
    @discardableResult
    mutating func settle(_ announcement: Announcement<Key, State>, _ outcome: ReportOutcome, at now: Duration) -> Bool {
        guard announcement.number > announcementsBefore else { return false }
        let end = endRequest(in: announcement.claim.key.namespace, outcome, at: now)
        // Forgotten meanwhile, or forgotten and begun anew: the outcome of another one.
        guard var entry = entries[announcement.key] else { return end.isFirstFailure }
        var exceptional = entry.exceptional
        guard exceptional.number == announcement.number, let said = exceptional.inFlight else {
            return end.isFirstFailure
        }
        var isFirst = end.isFirstFailure
        exceptional.inFlight = nil
        if outcome.isUncertain {
            if Self.news(said) != entry.told?.fingerprint { exceptional.isUncertain = true }
            if exceptional.lost == nil || exceptional.lost?.news != Self.news(said) {
                exceptional.lost = LostAttempt(news: Self.news(said), telling: exceptional.telling)
            }
        }
        switch outcome {
        case .told:
            entry.told = Self.told(said)
            exceptional.isUncertain = false
            exceptional.lost = nil
            entry.lastTold = CompactDuration(now)
            exceptional.refusals = 0
            exceptional.notBefore = .zero
        case .refused, .failed:
            if end.isCommon { break }
            exceptional.refusals += 1
            exceptional.notBefore = max(end.notBefore, now + timing.backoff(afterFailures: exceptional.refusals))
            if outcome == .refused { isFirst = exceptional.refusals == 1 }
        case .unreachable, .unanswered:
            break
        case .gone:
            entries[announcement.key] = nil
            return false
        }
        if let observed = exceptional.observedInFlight {
            // What the cluster has shown last is what people see, whoever wrote it.
            exceptional.observedInFlight = nil
            entry.told = Self.told(observed)
            exceptional.isUncertain = false
            exceptional.lost = nil
        }
        (exceptional.number, exceptional.telling) = (0, 0)
        entry.exceptional = exceptional
        put(entry, for: announcement.key, at: now)
        return isFirst
    }

    private static func told(_ state: State) -> Told? {
        state.isClear ? nil : Told(state: state, fingerprint: state.fingerprint)
    }

    private static func told(_ observed: Observed) -> Told? {
        switch observed {
        case .state(let state): told(state)
        case .other: Told(state: nil, fingerprint: .unknown)
        }
    }

    /// What an outcome means for other announcements.
    private mutating func endRequest(
        in namespace: String,
        _ outcome: ReportOutcome,
        at now: Duration
    ) -> RequestEnd {
        switch outcome {
        case .failed(let failure):
            failures = 0
            return gates.fail(namespace, failure, at: now)
        case .unreachable, .unanswered:
            gates.end(namespace, at: now)
            // Several may be under way when the server goes away: that is one failure.
            guard now >= pausedUntil else { return RequestEnd(isCommon: true) }
            failures += 1
            pausedUntil = now + timing.backoff(afterFailures: failures)
            return RequestEnd(isFirstFailure: failures == 1, isCommon: true)
        case .told, .refused, .gone:
            gates.succeed(namespace, at: now)
            failures = 0
        }
        return RequestEnd()
    }

    /// What an item of a queue is about; nil where the item or its claim does not count any more.
    private mutating func candidate(
        _ item: DueQueue<Key>.Item,
        _ cause: AnnouncementCause,
        _ claim: (Key) -> Claim?
    ) -> Candidate? {
        guard let entry = entries[item.element], let state = entry.current,
            entry.scheduled == Scheduled(due: CompactDuration(item.due), ticket: item.ticket, cause: cause)
        else { return nil }
        guard let claim = claim(item.element) else {
            entries[item.element] = nil
            return nil
        }
        return Candidate(key: item.element, claim: claim, cause: cause, entry: entry, state: state)
    }

    /// The first that waited for its namespace and need not any more.
    private mutating func takeWaiting(at now: Duration, _ claim: (Key) -> Claim?) -> Announcement<Key, State>? {
        // Apart while their items are looked up in the entries.
        var gates = NamespaceGates<Key>(timing: timing)
        swap(&gates, &self.gates)
        let found = gates.takeWaiting(at: now) { item, cause in candidate(item, cause, claim) }
        swap(&gates, &self.gates)
        return found.map { begin($0, at: now) }
    }

    private mutating func begin(_ candidate: Candidate, at now: Duration) -> Announcement<Key, State> {
        var entry = candidate.entry
        entry.scheduled = nil
        announcements += 1
        let lost = entry.exceptional.lost
        let telling = lost.flatMap { $0.news == Self.news(candidate.state) ? $0.telling : nil } ?? announcements
        entry.exceptional.inFlight = candidate.state
        entry.exceptional.number = announcements
        entry.exceptional.telling = telling
        gates.begin(candidate.claim.key.namespace, at: now)
        entries[candidate.key] = entry
        return Announcement(
            key: candidate.key,
            claim: candidate.claim,
            state: candidate.state,
            since: entry.since.duration,
            cause: candidate.cause,
            isOwn: entry.told?.state != nil,
            telling: telling,
            number: announcements
        )
    }

    /// Stores an entry with what it needs next in a queue, or drops it when it needs nothing any more.
    private mutating func put(_ entry: Entry, for key: Key, at now: Duration) {
        var entry = entry
        // While an announcement is under way nothing is planned: its outcome decides.
        if entry.exceptional.inFlight == nil {
            switch plan(entry, at: now) {
            case .forget:
                entries[key] = nil
                return
            case .keep:
                entry.scheduled = nil
            case .tell(let cause, let due):
                if entry.scheduled?.cause != cause || entry.scheduled?.due != CompactDuration(due) {
                    let ticket = queues.insert(key, cause, due: due)
                    entry.scheduled = Scheduled(due: CompactDuration(due), ticket: ticket, cause: cause)
                }
            }
        }
        entries[key] = entry
    }

    private func plan(_ entry: Entry, at now: Duration) -> Plan {
        guard let current = entry.current else { return entry.told == nil ? .forget : .keep }
        if Self.news(current) != entry.told?.fingerprint || entry.exceptional.isUncertain {
            // One that waits already keeps its place when a sweep finds the same again.
            if let scheduled = entry.scheduled, scheduled.cause == .transition {
                return .tell(.transition, due: scheduled.due.duration)
            }
            return .tell(.transition, due: max(now, entry.exceptional.notBefore))
        }
        if current.isClear { return .forget }
        // Of what an earlier process told the details are not known: taken as unchanged.
        let isUnchanged = entry.told?.state.map { $0 == current } ?? true
        guard let interval = isUnchanged ? timing.refreshInterval : timing.messageInterval else { return .keep }
        return .tell(.refresh, due: max(entry.lastTold.duration + interval, entry.exceptional.notBefore))
    }
}
