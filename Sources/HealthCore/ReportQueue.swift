// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// A delaying, rate-limited work queue of reports on objects of the API server, keyed by what each report is about.
///
/// Like client-go's workqueue it holds a key once, however often its state changes, hands it out to one worker at a
/// time and delays retries. Unlike it, it knows the states: it compares the current state of a key with the one that
/// was reported last, by this process or an earlier one, so that
///
/// - a report is due only while the two differ (a transition), or to refresh what lasts;
/// - nothing is lost and nothing piles up while the API server is away: the latest state is reported once;
/// - a state that ended before it was reported is not reported.
///
/// The life of a key:
///
/// ```
///                   set(unhealthy)                next(at:)                     complete(.reported)
/// (no entry) ─────────────────────▶ transition due ─────────▶ report under way ─────────────────────▶ reported
///     ▲                               ▲   ▲                       │                                   │    │
///     │ set(clear), never reported    │   └── complete(failure), ─┘              set(another state)   │    │
///     ├───────────────────────────────┘       after a back-off                ◀───────────────────────┘    │
///     │                                                                            refresh due: next(at:) ─┘
///     └────────────────── complete(.reported) of a clear state, complete(.gone), remove(_:)
/// ```
///
/// Transitions come before refreshes, each in the order in which they became due; ``NamespaceGates`` hold back what
/// concerns a namespace in which requests fail.
///
/// Pure: time is passed in as a `Duration` since any fixed moment of a monotonic clock.
package struct ReportQueue<Key: Hashable & Sendable, State: Reportable, Target: ReportTarget>: Sendable {
    package typealias Report = PendingReport<Key, State, Target>

    /// An item that is due.
    private struct Candidate {
        var key: Key
        var due: Duration
        var target: Target
        var cause: ReportCause
        var entry: Entry
        var state: State
    }

    /// What an entry needs next.
    private enum Plan {
        case report(ReportCause, due: Duration)
        /// Nothing is due, but the entry must be kept.
        case keep
        case forget
    }

    private var timing: ReportTiming
    /// When the refresh interval was last shortened.
    private var shortenedAt: Duration?
    var entries: [Key: Entry] = [:] { didSet { isEmpty = entries.isEmpty } }
    /// Stored, because it is read for each volume of a list: the compiler does not specialise a computed property of a
    /// generic type of another module (docs/decisions/0001-tables-for-volumes-and-claims.md).
    package private(set) var isEmpty = true
    /// The reports under way, of keys in ``entries`` that have nothing scheduled. Not part of the entries: in an outage
    /// these are many, while few reports are under way at a time.
    private var underWay: [Key: Attempt] = [:]
    /// The back-off of keys in ``entries`` whose last attempt was refused.
    private var backoffs: [Key: RetryBackoff] = [:]
    var queues = DueReports<Key>()
    private var gates: NamespaceGates<Key>
    /// While the API server is unreachable, no report is handed out before this moment.
    private var pausedUntil: Duration = .zero
    private var failures = 0
    /// How many reports were handed out.
    private var reports: UInt64 = 0
    /// Reports up to this number belong to earlier terms.
    private let reportsOfEarlierTerms: UInt64
    /// The first failure of each report that still waits, and the cause of the last attempt.
    private(set) var firstFailures: [Key: (time: Duration, cause: ReportCause)] = [:]

    /// An empty queue.
    ///
    /// - Parameter previous: the queue of the last term. The numbers of reports continue from its own, and outcomes of
    ///   its reports are ignored. A refresh interval that it has shortened stays: the API server is the same.
    package init(timing: ReportTiming, after previous: ReportQueue? = nil) {
        self.timing = previous?.timing ?? timing
        gates = NamespaceGates(timing: self.timing)
        reports = previous?.reports ?? 0
        reportsOfEarlierTerms = reports
    }

    /// The time between refreshes of what lasts, as far as is known of the API server; nil: none.
    package var refreshInterval: Duration? { timing.refreshInterval }

    /// Items in the queues, stale ones included.
    var queuedItems: Int { queues.count + gates.waitingItems }

    /// How many reports were scheduled. While this does not change, ``next(at:target:)`` has nothing new.
    package var plans: UInt64 { queues.insertions }

    /// How many transitions were queued, retries included: `workqueue_adds_total`.
    package var adds: UInt64 { queues.transitionInsertions }

    /// Whether something was reported for this key, or is about to be.
    package func contains(_ key: Key) -> Bool {
        entries[key] != nil
    }

    /// The current state; nil when this process does not know it.
    package func current(_ key: Key) -> State? {
        entries[key]?.current
    }

    /// Since when the fingerprint of ``current(_:)`` is unchanged, as far as this process knows.
    package func since(_ key: Key) -> Duration? {
        entries[key]?.since
    }

    /// The fingerprint of the current state or, when that is unknown, of what an earlier process reported; nil when the
    /// state is clear or nothing is known.
    package func fingerprint(_ key: Key) -> Fingerprint? {
        guard let entry = entries[key] else { return nil }
        return entry.current.map { Self.fingerprint($0) } ?? entry.reported?.fingerprint
    }

    package var keys: some Collection<Key> { entries.keys }

    /// Every key whose current state is not clear, in no particular order.
    package var unhealthy: some Sequence<(key: Key, state: State)> {
        entries.lazy.compactMap { key, entry in
            entry.current.flatMap { $0.isClear ? nil : (key, $0) }
        }
    }

    /// Whether RBAC forbids the reports, as far as is known: a report was forbidden, and none has succeeded in this term,
    /// so that it is not only one namespace that refuses them.
    package var isForbiddenAltogether: Bool { gates.isForbidden && !gates.hasSucceeded }

    /// How many transitions wait or are under way, and since when the oldest does. O(n), without a copy of the entries:
    /// in an outage these are many.
    package var backlog: (depth: Int, oldest: Duration?) {
        entries.reduce(into: (depth: 0, oldest: nil)) { backlog, item in
            guard isWaiting(item.key, item.value) else { return }
            backlog.depth += 1
            backlog.oldest = min(backlog.oldest ?? item.value.since, item.value.since)
        }
    }

    /// Whether a transition waits or is under way.
    private func isWaiting(_ key: Key, _ entry: Entry) -> Bool {
        if let scheduled = entry.scheduled { return scheduled.cause == .transition }
        return underWay[key].map { Self.fingerprint($0.state) != entry.reported?.fingerprint } ?? false
    }

    /// How many transitions have become due within this time and have not been attempted since their state changed or
    /// was reported. Older ones wait for their namespace or for the API server.
    package func newTransitions(at now: Duration, within time: Duration) -> Int {
        entries.count { key, entry in
            guard let scheduled = entry.scheduled, scheduled.cause == .transition else { return false }
            return scheduled.due <= now && now - scheduled.due < time && backoffs[key] == nil
        }
    }

    /// When each report under way was handed out, refreshes included, in no order.
    package var beginningsUnderWay: [Duration] { underWay.values.map(\.began) }
}

// MARK: States

extension ReportQueue {
    /// Sets the current state.
    package mutating func set(_ state: State, for key: Key, at now: Duration) {
        if entries[key] == nil, state.isClear { return }
        var entry = entries[key] ?? Entry()
        // A state that an earlier process reported and that still holds keeps its `since`.
        let known = entry.current.map { Self.fingerprint($0) } ?? entry.reported?.fingerprint
        if known != Self.fingerprint(state) || known == nil { entry.since = now }
        // Equal states share one copy: what was reported is mostly the current state.
        if entry.current != state { entry.current = state }
        put(entry, for: key, at: now)
    }

    /// An earlier process reported a state with this fingerprint; the current state is not known yet (rule 9).
    ///
    /// - Parameters:
    ///   - since: since when the state holds; nil: `reportedAt`.
    ///   - count: the count of the event under the name that this process gives it; 0: not known.
    package mutating func restore(
        reported fingerprint: Fingerprint,
        for key: Key,
        reportedAt time: Duration,
        since: Duration? = nil,
        count: Int = 0
    ) {
        guard entries[key] == nil else {
            // It waits to be reported, or is under way: should it end before that, its end is reported all the same.
            if entries[key]?.reported == nil { entries[key]?.isUncertain = true }
            return
        }
        var entry = Entry()
        entry.reported = Reported(state: nil, fingerprint: fingerprint)
        entry.lastReported = time
        entry.since = since ?? time
        entry.count = UInt32(clamping: count)
        entries[key] = entry
    }

    /// The API server shows this state, whichever process wrote it. A clear state: it shows nothing; nil: it shows
    /// something that corresponds to no state.
    package mutating func observe(reported state: State?, for key: Key, at now: Duration) {
        var entry = entries[key] ?? Entry()
        let observed: Observed = state.map { .state(entry.current == $0 ? entry.current ?? $0 : $0) } ?? .other
        if underWay[key] != nil {
            // Whether the report was applied before or after this observation is decided when the report completes.
            underWay[key]?.observed = observed
        } else {
            let reported = Self.reported(observed)
            if reported != entry.reported {
                entry.reported = reported
                entry.lastReported = now
            }
            entry.isUncertain = false
            entry.lost = nil
        }
        put(entry, for: key, at: now)
    }

    /// Halves the refresh interval for refreshes that are scheduled from now on, but not below
    /// ``ReportTiming/minimumRefreshInterval``. At most once per refresh interval, however many refreshes come too
    /// late.
    private mutating func shortenRefreshInterval(at now: Duration) {
        guard let interval = timing.refreshInterval, shortenedAt.map({ now - $0 >= interval }) ?? true else { return }
        timing.refreshInterval = max(interval / 2, ReportTiming.minimumRefreshInterval)
        shortenedAt = now
    }

    /// The current state is not known any more: what was reported is kept, and nothing is due before the state is set.
    package mutating func forgetState(of key: Key, at now: Duration) {
        guard var entry = entries[key] else { return }
        entry.current = nil
        put(entry, for: key, at: now)
    }

    /// Forgets a key whose target is gone.
    package mutating func remove(_ key: Key) {
        entries[key] = nil
        underWay[key] = nil
        backoffs[key] = nil
        firstFailures[key] = nil
    }

    /// The fingerprint of a state; nil if it is clear.
    private static func fingerprint(_ state: State) -> Fingerprint? {
        state.isClear ? nil : state.fingerprint
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
}

// MARK: Reporting

extension ReportQueue {
    /// The next report to send. It is under way until ``complete(_:_:at:)``, which must be called in any case.
    ///
    /// - Parameter target: returns the object to report on, as it is now; nil when it is gone, and then its key is
    ///   removed.
    package mutating func next(at now: Duration, target: (Key) -> Target?) -> NextStep<Report> {
        let pausedUntil = max(pausedUntil, gates.pausedUntil)
        if now < pausedUntil { return .wait(until: pausedUntil) }
        // While requests fail everywhere, those for namespaces that have not failed yet come first.
        if !gates.isCommonFailure, let report = takeWaiting(at: now, target) { return .run(report) }
        var held = 0
        for cause in [ReportCause.transition, .refresh] {
            while let item = queues.removeFirst(cause, dueBy: now) {
                guard let candidate = candidate(item, cause, target) else { continue }
                let namespace = candidate.target.namespace
                if gates.isOpen(namespace, at: now) { return .run(begin(candidate, at: now)) }
                gates.hold(item, cause, in: namespace)
                held += 1
                // Other callers wait for the lock around the queue: the rest follows at once, in another call.
                if held == Self.maximumHeldItems { return .wait(until: now) }
            }
        }
        if gates.isCommonFailure, let report = takeWaiting(at: now, target) { return .run(report) }
        return .wait(until: [queues.firstDue, gates.nextOpening].compactMap(\.self).min())
    }

    /// How many items one call holds back at most, because their namespaces are closed.
    private static var maximumHeldItems: Int { 256 }

    /// The event of a report under way was recorded. Called before ``complete(_:_:at:)``.
    ///
    /// A refresh with count 1 has created the event again, because it had expired. If the event was no older than the
    /// refresh interval, the API server's event lifetime is shorter than the interval, which is therefore shortened. An
    /// event that expired because its refresh came late does not count: with a shorter interval, refreshes would come
    /// later still. Neither does the event of another process, which may exist under another name.
    ///
    /// - Parameter count: the event's count, which the next refresh raises.
    package mutating func recorded(_ report: Report, count: Int, at now: Duration) {
        guard report.number > reportsOfEarlierTerms, let entry = entries[report.key],
            underWay[report.key]?.number == report.number
        else { return }
        entries[report.key]?.count = UInt32(clamping: count)
        guard count == 1, report.cause == .refresh, report.isOwn, let interval = timing.refreshInterval,
            now - entry.lastReported <= interval + interval / 10
        else { return }
        shortenRefreshInterval(at: now)
    }

    /// Completes a report under way.
    ///
    /// - Returns: whether the outcome is a failure worth a warning: the first of its target, of its namespace, or of
    ///   all.
    @discardableResult
    package mutating func complete(_ report: Report, _ outcome: ReportOutcome, at now: Duration) -> Bool {
        guard report.number > reportsOfEarlierTerms else { return false }
        let end = endRequest(in: report.target.namespace, outcome, at: now)
        // Without an entry, or with another attempt, the key was removed meanwhile, or removed and added again.
        guard var entry = entries[report.key], let attempt = underWay[report.key],
            attempt.number == report.number
        else {
            return end.isFirstFailure
        }
        var isFirst = end.isFirstFailure
        let fingerprint = Self.fingerprint(attempt.state)
        underWay[report.key] = nil
        if outcome.isUncertain {
            if fingerprint != entry.reported?.fingerprint { entry.isUncertain = true }
            if entry.lost == nil || entry.lost?.fingerprint != fingerprint {
                entry.lost = LostAttempt(fingerprint: fingerprint, id: attempt.id)
            }
        }
        switch outcome {
        case .reported:
            entry.reported = Self.reported(attempt.state)
            entry.isUncertain = false
            entry.lost = nil
            entry.lastReported = now
            backoffs[report.key] = backoff(after: attempt, of: report.key, entry, at: now)
            firstFailures[report.key] = nil
        case .refused, .failed:
            if end.isCommon { break }
            let failures = (backoffs[report.key]?.failures ?? 0) + 1
            let notBefore = max(end.notBefore, now + timing.backoff(afterFailures: failures))
            backoffs[report.key] = RetryBackoff(failures: failures, notBefore: notBefore)
            if outcome == .refused { isFirst = failures == 1 }
        case .unreachable:
            break
        case .gone:
            remove(report.key)
            return false
        }
        if outcome != .reported { firstFailures[report.key] = (firstFailures[report.key]?.time ?? now, report.cause) }
        if let observed = attempt.observed {
            // What the API server showed last is what users see, whichever process wrote it.
            entry.reported = Self.reported(observed)
            entry.isUncertain = false
            entry.lost = nil
        }
        put(entry, for: report.key, at: now)
        return isFirst
    }

    /// The back-off after a successful attempt: none, unless the API server does not show what was written, as with an
    /// admission policy that changes it. The first such attempt may have met a change by another client, and is repeated
    /// at once.
    private func backoff(after attempt: Attempt, of key: Key, _ entry: Entry, at now: Duration) -> RetryBackoff? {
        let written = Self.fingerprint(attempt.state)
        guard let observed = attempt.observed, Self.reported(observed)?.fingerprint != written,
            entry.current.map({ Self.fingerprint($0) }) == written
        else { return nil }
        let failures = backoffs[key].map { $0.failures + 1 } ?? 0
        return RetryBackoff(
            failures: failures,
            notBefore: failures == 0 ? now : now + timing.backoff(afterFailures: failures)
        )
    }

    /// Applies what an outcome means for other reports.
    private mutating func endRequest(
        in namespace: String,
        _ outcome: ReportOutcome,
        at now: Duration
    ) -> RequestEnd {
        switch outcome {
        case .failed(let failure):
            failures = 0
            return gates.fail(namespace, failure, at: now)
        case .unreachable:
            gates.end(namespace, at: now)
            // Several reports may be under way when the server goes away: they count as one failure.
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

    /// The report that a queued item stands for; nil when the item is stale or its target is gone.
    private mutating func candidate(
        _ item: DueQueue<Key>.Item,
        _ cause: ReportCause,
        _ target: (Key) -> Target?
    ) -> Candidate? {
        guard let entry = entries[item.element], let state = entry.current,
            entry.scheduled == Scheduled(due: item.due, ticket: item.ticket, cause: cause)
        else { return nil }
        guard let target = target(item.element) else {
            remove(item.element)
            return nil
        }
        return Candidate(key: item.element, due: item.due, target: target, cause: cause, entry: entry, state: state)
    }

    /// The first report whose namespace is open again.
    private mutating func takeWaiting(at now: Duration, _ target: (Key) -> Target?) -> Report? {
        // Moved out, because the closure accesses `self` while the gates change.
        var gates = NamespaceGates<Key>(timing: timing)
        swap(&gates, &self.gates)
        let found = gates.takeWaiting(at: now) { item, cause in candidate(item, cause, target) }
        swap(&gates, &self.gates)
        return found.map { begin($0, at: now) }
    }

    private mutating func begin(_ candidate: Candidate, at now: Duration) -> Report {
        var entry = candidate.entry
        entry.scheduled = nil
        reports += 1
        let lost = entry.lost.flatMap { $0.fingerprint == Self.fingerprint(candidate.state) ? $0.id : nil }
        let id = lost ?? reports
        underWay[candidate.key] = Attempt(state: candidate.state, began: now, id: id, number: reports)
        gates.begin(candidate.target.namespace, at: now)
        entries[candidate.key] = entry
        return PendingReport(
            key: candidate.key,
            target: candidate.target,
            state: candidate.state,
            since: entry.since,
            due: candidate.due,
            cause: candidate.cause,
            isOwn: entry.reported?.state != nil,
            count: candidate.cause == .refresh && entry.count > 0 ? Int(entry.count) : nil,
            attemptID: id,
            number: reports
        )
    }

    /// Stores an entry and schedules what it needs next, or removes it when it is no longer needed.
    private mutating func put(_ entry: Entry, for key: Key, at now: Duration) {
        var entry = entry
        // While a report is under way nothing is scheduled: its outcome decides.
        if underWay[key] == nil {
            switch plan(entry, notBefore: backoffs[key]?.notBefore ?? .zero, at: now) {
            case .forget:
                remove(key)
                return
            case .keep:
                entry.scheduled = nil
                firstFailures[key] = nil
            case .report(let cause, let due):
                // The state that was reported holds again, or the details that a refresh was to change: what is planned
                // now is no retry.
                let latestRetry = max(now, backoffs[key]?.notBefore ?? .zero)
                if cause == .refresh, firstFailures[key]?.cause == .transition || due > latestRetry {
                    firstFailures[key] = nil
                }
                if entry.scheduled?.cause != cause || entry.scheduled?.due != due {
                    let ticket = queues.insert(key, cause, due: due)
                    entry.scheduled = Scheduled(due: due, ticket: ticket, cause: cause)
                }
            }
        }
        entries[key] = entry
    }

    /// What an entry without a report under way needs next:
    ///
    /// | Current state | Compared with the reported state | Plan |
    /// |---|---|---|
    /// | unknown | nothing was reported | forget |
    /// | unknown | something was reported | keep until the state is known |
    /// | known | another fingerprint, or uncertain | transition, after the back-off of failed attempts |
    /// | clear | equal | forget |
    /// | unhealthy | equal | refresh ``ReportTiming/refreshInterval`` after the last report |
    /// | unhealthy | equal fingerprint, other details | refresh ``ReportTiming/messageInterval`` after the last report |
    ///
    /// Without an interval an unhealthy entry is kept.
    private func plan(_ entry: Entry, notBefore: Duration, at now: Duration) -> Plan {
        guard let current = entry.current else { return entry.reported == nil && !entry.isUncertain ? .forget : .keep }
        if Self.fingerprint(current) != entry.reported?.fingerprint || entry.isUncertain {
            // A transition that waits keeps its place when a sweep finds the same state again.
            if let scheduled = entry.scheduled, scheduled.cause == .transition {
                return .report(.transition, due: scheduled.due)
            }
            return .report(.transition, due: max(now, notBefore))
        }
        if current.isClear { return .forget }
        // The details of what an earlier process reported are unknown and count as unchanged.
        let isUnchanged = entry.reported?.state.map { $0 == current } ?? true
        guard let interval = isUnchanged ? timing.refreshInterval : timing.messageInterval else { return .keep }
        return .report(.refresh, due: max(entry.lastReported + interval, notBefore))
    }
}
