// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// What has to be reported on which claim, and when: the difference between what is so and what was reported.
///
/// The queue holds one entry for everything that is not clear, or was reported so. It compares two values, the state that
/// holds and the state that was reported, so that nothing is lost and nothing queues up: however long the API server is
/// away, the latest state is reported once; what has passed before it was reported is not reported at all. Transitions come before
/// refreshes, each in the order in which they became due.
///
/// Pure: time is passed in as a `Duration` since any fixed moment of a monotonic clock.
struct ReportQueue<Key: Hashable & Sendable, State: Reportable>: Sendable {
    /// What people know.
    private struct Reported: Equatable {
        /// nil when an earlier process reported it, and only the fingerprint is known.
        var state: State?
        var fingerprint: Fingerprint
    }

    /// In an order that leaves little empty between the fields, for in an outage there is one for each volume.
    private struct Entry {
        /// What is so; nil until this process has found out.
        var current: State?
        /// Since when the current news hold.
        var since = CompactDuration(.zero)
        var lastReported = CompactDuration(.zero)
        /// Elsewhere, for hardly any entry has it: none or one.
        private var exceptions: [Exceptional] = []
        /// The item in one of the queues that counts; others that name this entry are stale.
        var scheduled: Scheduled?
        /// nil: nothing, or that it has passed.
        var reported: Reported?

        var exceptional: Exceptional {
            get { exceptions.first ?? Exceptional() }
            set { exceptions = newValue == Exceptional() ? [] : [newValue] }
        }
    }

    /// What an entry has while it is reported, and when that failed.
    private struct Exceptional: Equatable {
        /// Set while an pendingReport of it is under way: what that pendingReport says.
        var inFlight: State?
        /// What the cluster has shown meanwhile.
        var observedInFlight: Observed?
        /// Which attemptID that pendingReport is.
        var attemptID: UInt64 = 0
        /// The last attempt whose answer was lost.
        var lost: LostAttempt?
        /// The number of the last pendingReport of it.
        var number: UInt64 = 0
        /// The answer to other news was lost: people may know them, or what `reported` says. Then what holds is reported in any
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

    /// Nobody knows whether it was reported.
    private struct LostAttempt: Equatable {
        /// nil: that all is clear.
        var news: Fingerprint?
        /// The number of the first attempt.
        var attemptID: UInt64
    }

    private struct Scheduled: Equatable {
        var due: CompactDuration
        var ticket: DueQueue<Key>.Ticket
        var cause: ReportCause
    }

    /// What is due.
    private struct Candidate {
        var key: Key
        var claim: Claim
        var cause: ReportCause
        var entry: Entry
        var state: State
    }

    /// What an entry needs.
    private enum Plan {
        case report(ReportCause, due: Duration)
        /// Nothing for now, but what it knows is still wanted.
        case keep
        case forget
    }

    private var timing: ReportTiming
    /// When the time between refreshes was last made shorter.
    private var shortenedAt: Duration?
    private var entries = DenseDictionary<Key, Entry>()
    private var queues = DueReports<Key>()
    private var gates: NamespaceGates<Key>
    /// While the API server is unreachable nothing is handed out before this moment.
    private var pausedUntil: Duration = .zero
    private var failures = 0
    private var pendingReports: UInt64 = 0
    /// Up to this number, pendingReports are of an earlier term.
    private let reportsBefore: UInt64

    /// An queue that knows nothing.
    ///
    /// - Parameter previous: the queue of the last term: numbers go on from its own, and no outcome of its pendingReports
    ///   counts here.
    init(timing: ReportTiming, after previous: ReportQueue? = nil) {
        self.timing = timing
        gates = NamespaceGates(timing: timing)
        pendingReports = previous?.pendingReports ?? 0
        reportsBefore = pendingReports
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

    /// Whether something was reported of it, or is about to be.
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

    /// What is so, or else what was reported by an earlier process; nil when it is clear, or nothing is known.
    func news(_ key: Key) -> Fingerprint? {
        guard let entry = entries[key] else { return nil }
        return entry.current.map { Self.news($0) } ?? entry.reported?.fingerprint
    }

    /// What all of it is about.
    var keys: some Collection<Key> { entries.keys }

    /// Everything that is not clear.
    var unhealthy: some Sequence<(key: Key, state: State)> {
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
            return Self.news(said) != entry.reported?.fingerprint
        }
        return (waiting.count, waiting.map(\.since).min()?.duration)
    }
}

// MARK: What is so, and what is known

extension ReportQueue {
    /// Sets what is so.
    mutating func set(_ state: State, for key: Key, at now: Duration) {
        if entries[key] == nil, state.isClear { return }
        var entry = entries[key] ?? Entry()
        // What an earlier process reported and still holds has not begun now.
        let known = entry.current.map { Self.news($0) } ?? entry.reported?.fingerprint
        if known != Self.news(state) || known == nil { entry.since = CompactDuration(now) }
        // Of equal states one is kept: what was reported is mostly what is so.
        if entry.current != state { entry.current = state }
        put(entry, for: key, at: now)
    }

    /// An earlier process reported this; what is so is not known yet (rule 9).
    ///
    /// - Parameter since: since when it is so; nil: `reportedAt`.
    mutating func restore(
        reported fingerprint: Fingerprint,
        for key: Key,
        reportedAt time: Duration,
        since: Duration? = nil
    ) {
        guard entries[key] == nil else { return }
        var entry = Entry()
        entry.reported = Reported(state: nil, fingerprint: fingerprint)
        entry.lastReported = CompactDuration(time)
        entry.since = CompactDuration(since ?? time)
        entries[key] = entry
    }

    /// The cluster shows this, from whichever process. A clear state: nothing; nil: something that no state says.
    mutating func observe(reported state: State?, for key: Key, at now: Duration) {
        var entry = entries[key] ?? Entry()
        let observed: Observed = state.map { .state(entry.current == $0 ? entry.current ?? $0 : $0) } ?? .other
        if entry.exceptional.inFlight != nil {
            // Whether the pendingReport came before or after it shows when that has ended.
            entry.exceptional.observedInFlight = observed
        } else {
            let reported = Self.reported(observed)
            if reported != entry.reported {
                entry.reported = reported
                entry.lastReported = CompactDuration(now)
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

// MARK: Reporting

extension ReportQueue {
    /// What to do now. An pendingReport that is handed out is under way until ``complete(_:_:at:)``.
    ///
    /// - Parameter claim: whom to report, as it is now; nil when it is gone, and then this is forgotten.
    mutating func next(at now: Duration, claim: (Key) -> Claim?) -> ReportStep<Key, State> {
        let pausedUntil = max(pausedUntil, gates.pausedUntil)
        if now < pausedUntil { return .wait(until: pausedUntil) }
        // While requests fail everywhere, one about a namespace that has not failed yet says more.
        if !gates.isCommonFailure, let pendingReport = takeWaiting(at: now, claim) { return .report(pendingReport) }
        var parked = 0
        for cause in [ReportCause.transition, .refresh] {
            while let item = queues.removeFirst(cause, dueBy: now) {
                guard let candidate = candidate(item, cause, claim) else { continue }
                let namespace = candidate.claim.key.namespace
                if gates.isOpen(namespace, at: now) { return .report(begin(candidate, at: now)) }
                gates.park(item, cause, in: namespace)
                parked += 1
                // Others wait for the lock: the rest at once, but in another call.
                if parked == Self.longestWalk { return .wait(until: now) }
            }
        }
        if gates.isCommonFailure, let pendingReport = takeWaiting(at: now, claim) { return .report(pendingReport) }
        return .wait(until: [queues.firstDue, gates.nextOpening].compactMap(\.self).min())
    }

    /// How many items one call sets aside at most.
    private static var longestWalk: Int { 256 }

    /// How an pendingReport went.
    ///
    /// - Returns: whether it is a failure that is worth a warning: the first of its claim, its namespace, or of all.
    @discardableResult
    mutating func complete(
        _ pendingReport: PendingReport<Key, State>,
        _ outcome: ReportOutcome,
        at now: Duration
    ) -> Bool {
        guard pendingReport.number > reportsBefore else { return false }
        let end = endRequest(in: pendingReport.claim.key.namespace, outcome, at: now)
        // Forgotten meanwhile, or forgotten and begun anew: the outcome of another one.
        guard var entry = entries[pendingReport.key] else { return end.isFirstFailure }
        var exceptional = entry.exceptional
        guard exceptional.number == pendingReport.number, let said = exceptional.inFlight else {
            return end.isFirstFailure
        }
        var isFirst = end.isFirstFailure
        exceptional.inFlight = nil
        if outcome.isUncertain {
            if Self.news(said) != entry.reported?.fingerprint { exceptional.isUncertain = true }
            if exceptional.lost == nil || exceptional.lost?.news != Self.news(said) {
                exceptional.lost = LostAttempt(news: Self.news(said), attemptID: exceptional.attemptID)
            }
        }
        switch outcome {
        case .reported:
            entry.reported = Self.reported(said)
            exceptional.isUncertain = false
            exceptional.lost = nil
            entry.lastReported = CompactDuration(now)
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
            entries[pendingReport.key] = nil
            return false
        }
        if let observed = exceptional.observedInFlight {
            // What the cluster has shown last is what people see, whoever wrote it.
            exceptional.observedInFlight = nil
            entry.reported = Self.reported(observed)
            exceptional.isUncertain = false
            exceptional.lost = nil
        }
        (exceptional.number, exceptional.attemptID) = (0, 0)
        entry.exceptional = exceptional
        put(entry, for: pendingReport.key, at: now)
        return isFirst
    }

    private static func reported(_ state: State) -> Reported? {
        state.isClear ? nil : Reported(state: state, fingerprint: state.fingerprint)
    }

    private static func reported(_ observed: Observed) -> Reported? {
        switch observed {
        case .state(let state): reported(state)
        case .other: Reported(state: nil, fingerprint: .unknown)
        }
    }

    /// What an outcome means for other pendingReports.
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
        case .reported, .refused, .gone:
            gates.succeed(namespace, at: now)
            failures = 0
        }
        return RequestEnd()
    }

    /// What an item of a queue is about; nil where the item or its claim does not count any more.
    private mutating func candidate(
        _ item: DueQueue<Key>.Item,
        _ cause: ReportCause,
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
    private mutating func takeWaiting(at now: Duration, _ claim: (Key) -> Claim?) -> PendingReport<Key, State>? {
        // Apart while their items are looked up in the entries.
        var gates = NamespaceGates<Key>(timing: timing)
        swap(&gates, &self.gates)
        let found = gates.takeWaiting(at: now) { item, cause in candidate(item, cause, claim) }
        swap(&gates, &self.gates)
        return found.map { begin($0, at: now) }
    }

    private mutating func begin(_ candidate: Candidate, at now: Duration) -> PendingReport<Key, State> {
        var entry = candidate.entry
        entry.scheduled = nil
        pendingReports += 1
        let lost = entry.exceptional.lost
        let attemptID = lost.flatMap { $0.news == Self.news(candidate.state) ? $0.attemptID : nil } ?? pendingReports
        entry.exceptional.inFlight = candidate.state
        entry.exceptional.number = pendingReports
        entry.exceptional.attemptID = attemptID
        gates.begin(candidate.claim.key.namespace, at: now)
        entries[candidate.key] = entry
        return PendingReport(
            key: candidate.key,
            claim: candidate.claim,
            state: candidate.state,
            since: entry.since.duration,
            cause: candidate.cause,
            isOwn: entry.reported?.state != nil,
            attemptID: attemptID,
            number: pendingReports
        )
    }

    /// Stores an entry with what it needs next in a queue, or drops it when it needs nothing any more.
    private mutating func put(_ entry: Entry, for key: Key, at now: Duration) {
        var entry = entry
        // While an pendingReport is under way nothing is planned: its outcome decides.
        if entry.exceptional.inFlight == nil {
            switch plan(entry, at: now) {
            case .forget:
                entries[key] = nil
                return
            case .keep:
                entry.scheduled = nil
            case .report(let cause, let due):
                if entry.scheduled?.cause != cause || entry.scheduled?.due != CompactDuration(due) {
                    let ticket = queues.insert(key, cause, due: due)
                    entry.scheduled = Scheduled(due: CompactDuration(due), ticket: ticket, cause: cause)
                }
            }
        }
        entries[key] = entry
    }

    private func plan(_ entry: Entry, at now: Duration) -> Plan {
        guard let current = entry.current else { return entry.reported == nil ? .forget : .keep }
        if Self.news(current) != entry.reported?.fingerprint || entry.exceptional.isUncertain {
            // One that waits already keeps its place when a sweep finds the same again.
            if let scheduled = entry.scheduled, scheduled.cause == .transition {
                return .report(.transition, due: scheduled.due.duration)
            }
            return .report(.transition, due: max(now, entry.exceptional.notBefore))
        }
        if current.isClear { return .forget }
        // Of what an earlier process reported the details are not known: taken as unchanged.
        let isUnchanged = entry.reported?.state.map { $0 == current } ?? true
        guard let interval = isUnchanged ? timing.refreshInterval : timing.messageInterval else { return .keep }
        return .report(.refresh, due: max(entry.lastReported.duration + interval, entry.exceptional.notBefore))
    }
}
