// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// Which namespaces take requests now, and what waits for those that do not (rule 10).
///
/// A namespace in which requests fail gets one at a time, each after a growing back-off, and one in which they hang gets no
/// more than ``maximumUnderWay``: nothing else waits for either. Only where requests failed in ``commonAfter`` namespaces
/// without a success in between, the cause counts as common to all: then two requests begin in a second at most, those for
/// namespaces that have not failed yet come first, and a success anywhere ends it for all.
///
/// Pure. A gate exists while its namespace has requests under way or waiting, or has failed lately.
struct NamespaceGates<Key: Hashable & Sendable>: Sendable {
    private struct Gate {
        var underWay = 0
        /// Failed requests in a row; several that failed together are one.
        var failures = 0
        var notBefore = Duration.zero
        /// It failed when the cause had turned out to be common: it is open again when that has ended.
        var isCommon = false
        /// What was due and could not go.
        var waiting = DueReports<Key>()
    }

    /// How many requests about one namespace are under way at most.
    static var maximumUnderWay: Int { 4 }
    /// In how many namespaces requests must fail for the cause to be common to all.
    static var commonAfter: Int { 3 }
    /// While the cause is common to all, the time between the beginnings of two requests.
    private static var commonPause: Duration { .milliseconds(500) }
    /// After what time without a request a failure is forgotten.
    private static var failureLifetime: Duration { .seconds(600) }

    private let timing: ReportTiming
    private var gates: [String: Gate] = [:]
    /// Namespaces that may have room for what waits.
    private var openings = DueQueue<String>()
    /// Namespaces in which requests failed since one succeeded anywhere.
    private var failing: Set<String> = []
    /// Requests were forbidden, and none has succeeded since.
    private(set) var isForbidden = false
    /// While the cause is common, no other request begins before this moment.
    private(set) var pausedUntil = Duration.zero

    init(timing: ReportTiming) {
        self.timing = timing
    }

    /// Requests fail in several namespaces, and succeed in none.
    var isCommonFailure: Bool { failing.count >= Self.commonAfter }

    /// When a namespace may have room for what waits.
    var nextOpening: Duration? { openings.first?.due }

    /// Items that wait, stale ones included.
    var waitingItems: Int { gates.values.reduce(0) { $0 + $1.waiting.count } }

    /// Whether a request about this namespace may begin.
    func isOpen(_ namespace: String, at now: Duration) -> Bool {
        guard let gate = gates[namespace] else { return true }
        return gate.underWay < (gate.failures > 0 ? 1 : Self.maximumUnderWay) && now >= gate.notBefore
    }

    /// Keeps an item until its namespace has room for it.
    mutating func park(_ item: DueQueue<Key>.Item, _ cause: ReportCause, in namespace: String) {
        gates[namespace, default: Gate()].waiting.insert(item, cause)
    }

    /// Takes what has waited longest for a namespace that is open now, until `use` accepts an item.
    ///
    /// - Parameter use: whether the item still counts and is under way now.
    mutating func takeWaiting<R>(at now: Duration, use: (DueQueue<Key>.Item, ReportCause) -> R?) -> R? {
        while let opening = openings.removeFirst(dueBy: now) {
            let namespace = opening.element
            while isOpen(namespace, at: now), let (item, cause) = gates[namespace]?.waiting.removeFirst() {
                guard let result = use(item, cause) else { continue }
                // There may be room for another one.
                _ = openings.insert(namespace, due: now)
                return result
            }
            tidy(namespace, at: now)
        }
        return nil
    }

    /// A request about this namespace begins.
    mutating func begin(_ namespace: String, at now: Duration) {
        gates[namespace, default: Gate()].underWay += 1
        if isCommonFailure { pausedUntil = now + Self.commonPause }
    }

    /// A request ended without a word on the namespace: the connection failed.
    mutating func end(_ namespace: String, at now: Duration) {
        gates[namespace]?.underWay -= 1
        _ = openings.insert(namespace, due: now)
    }

    /// The API server did what was asked for, or refused it for reasons of that one object.
    mutating func succeed(_ namespace: String, at now: Duration) {
        if isCommonFailure {
            for (other, gate) in gates where gate.isCommon {
                gates[other]?.isCommon = false
                gates[other]?.failures = 1
                gates[other]?.notBefore = now
                _ = openings.insert(other, due: now)
            }
        }
        failing = []
        isForbidden = false
        pausedUntil = .zero
        gates[namespace]?.failures = 0
        gates[namespace]?.notBefore = .zero
        gates[namespace]?.isCommon = false
        end(namespace, at: now)
    }

    /// A request failed, and others about the namespace may as well.
    ///
    /// - Returns: what it means for what was requested.
    mutating func fail(_ namespace: String, _ failure: RequestFailure, at now: Duration) -> RequestEnd {
        failing.insert(namespace)
        if failure.isForbidden { isForbidden = true }
        var gate = gates[namespace] ?? Gate()
        gate.underWay -= 1
        var isFirst = gate.failures == 0
        if isFirst, isCommonFailure {
            gate.isCommon = true
            isFirst = failing.count == Self.commonAfter
            // Those that brought it to light have failed no earlier.
            if isFirst { for other in failing where gates[other]?.failures == 1 { gates[other]?.isCommon = true } }
        }
        if isCommonFailure { pausedUntil = max(pausedUntil, now + Self.commonPause) }
        if now >= gate.notBefore {
            gate.failures += 1
            gate.notBefore = now + timing.backoff(afterFailures: gate.failures)
        }
        if let retryAfter = failure.retryAfter { gate.notBefore = max(gate.notBefore, now + retryAfter) }
        gates[namespace] = gate
        _ = openings.insert(namespace, due: gate.notBefore)
        return RequestEnd(isFirstFailure: isFirst, isCommon: gate.isCommon, notBefore: gate.notBefore)
    }

    /// Forgets a gate that nothing needs.
    private mutating func tidy(_ namespace: String, at now: Duration) {
        guard let gate = gates[namespace], gate.underWay == 0, gate.waiting.isEmpty else { return }
        let forgottenAt = gate.notBefore + Self.failureLifetime
        if gate.failures == 0 || now >= forgottenAt {
            gates[namespace] = nil
            failing.remove(namespace)
        } else if now >= gate.notBefore {
            _ = openings.insert(namespace, due: forgottenAt)
        }
    }
}

/// What the end of a request means for what was requested.
struct RequestEnd: Sendable {
    /// It is the first failure of the namespace, or of all.
    var isFirstFailure = false
    /// The cause is common to all namespaces.
    var isCommon = false
    /// When the namespace may be tried again.
    var notBefore = Duration.zero
}

/// What is due, by its cause.
struct DueReports<Key: Hashable & Sendable>: Sendable {
    private var transitions = DueQueue<Key>()
    private var refreshes = DueQueue<Key>()

    var count: Int { transitions.count + refreshes.count }

    var isEmpty: Bool { count == 0 }

    /// How often an item was made.
    var insertions: UInt64 { transitions.insertions + refreshes.insertions }

    /// How often an item was made for a transition.
    var transitionInsertions: UInt64 { transitions.insertions }

    /// When the first item is due.
    var firstDue: Duration? { [transitions.first?.due, refreshes.first?.due].compactMap(\.self).min() }

    /// Makes an item.
    mutating func insert(_ key: Key, _ cause: ReportCause, due: Duration) -> DueQueue<Key>.Ticket {
        switch cause {
        case .transition: transitions.insert(key, due: due)
        case .refresh: refreshes.insert(key, due: due)
        }
    }

    /// Puts an item of another queue here, as it is.
    mutating func insert(_ item: DueQueue<Key>.Item, _ cause: ReportCause) {
        switch cause {
        case .transition: transitions.insert(item)
        case .refresh: refreshes.insert(item)
        }
    }

    mutating func removeFirst(_ cause: ReportCause, dueBy now: Duration) -> DueQueue<Key>.Item? {
        switch cause {
        case .transition: transitions.removeFirst(dueBy: now)
        case .refresh: refreshes.removeFirst(dueBy: now)
        }
    }

    /// Takes the first item out, transitions before refreshes, whenever it is due.
    mutating func removeFirst() -> (item: DueQueue<Key>.Item, cause: ReportCause)? {
        if let first = transitions.first {
            transitions.removeFirst()
            return (first, .transition)
        }
        guard let first = refreshes.first else { return nil }
        refreshes.removeFirst()
        return (first, .refresh)
    }
}
