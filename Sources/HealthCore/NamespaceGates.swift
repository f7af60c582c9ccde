// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// Limits the requests for each namespace, and holds the reports that wait for a namespace (rule 10).
///
/// A namespace in which requests fail gets one request at a time, each after a growing back-off, and one in which
/// requests hang has at most ``maximumUnderWay`` of them: no other namespace waits for either. Only after requests have
/// failed in ``commonAfter`` namespaces without a success in between does the cause count as common to all. Then at
/// most two requests begin per second, those for namespaces that have not failed come first, and one success anywhere
/// ends it for all namespaces.
///
/// Pure: time is passed in. A gate exists while its namespace has requests under way or waiting, or has failed
/// recently.
struct NamespaceGates<Key: Hashable & Sendable>: Sendable {
    private struct Gate {
        var underWay = 0
        /// Consecutive failures; concurrent requests that fail count once.
        var failures = 0
        var notBefore = Duration.zero
        /// It failed while the cause was common to all namespaces: it opens when that ends.
        var isCommon = false
        /// Reports that became due while the gate was closed.
        var waiting = DueReports<Key>()
    }

    /// The maximum of concurrent requests for one namespace.
    static var maximumUnderWay: Int { 4 }
    /// How many namespaces must have failed for the cause to count as common to all.
    static var commonAfter: Int { 3 }
    /// The time from one request to the next while the cause is common to all.
    private static var commonPause: Duration { .milliseconds(500) }
    /// How long a failure is remembered without another request.
    private static var failureLifetime: Duration { .seconds(600) }

    private let timing: ReportTiming
    private var gates: [String: Gate] = [:]
    /// When namespaces may have room for a waiting report.
    private var openings = DueQueue<String>()
    /// Namespaces that have failed since the last success anywhere.
    private var failing: Set<String> = []
    /// A request was forbidden, and none has succeeded since.
    private(set) var isForbidden = false
    /// A request has succeeded since the term began: it is not all requests that are forbidden.
    private(set) var hasSucceeded = false
    /// While the cause is common to all, the next request does not begin before this moment.
    private(set) var pausedUntil = Duration.zero

    init(timing: ReportTiming) {
        self.timing = timing
    }

    /// Whether requests fail in several namespaces and succeed in none.
    var isCommonFailure: Bool { failing.count >= Self.commonAfter }

    /// When the first namespace may have room for a waiting report.
    var nextOpening: Duration? { openings.first?.due }

    /// The number of waiting items, stale ones included.
    var waitingItems: Int { gates.values.reduce(0) { $0 + $1.waiting.count } }

    /// Whether a request for this namespace may begin.
    func isOpen(_ namespace: String, at now: Duration) -> Bool {
        guard let gate = gates[namespace] else { return true }
        return gate.underWay < (gate.failures > 0 ? 1 : Self.maximumUnderWay) && now >= gate.notBefore
    }

    /// Holds an item back until its namespace has room for it.
    mutating func hold(_ item: DueQueue<Key>.Item, _ cause: ReportCause, in namespace: String) {
        gates[namespace, default: Gate()].waiting.insert(item, cause)
    }

    /// Removes the items that have waited longest for a namespace that is open now, until `use` accepts one.
    ///
    /// - Parameter use: returns nil for a stale item, which is dropped.
    mutating func takeWaiting<R>(at now: Duration, use: (DueQueue<Key>.Item, ReportCause) -> R?) -> R? {
        while let opening = openings.removeFirst(dueBy: now) {
            let namespace = opening.element
            while isOpen(namespace, at: now), let (item, cause) = gates[namespace]?.waiting.removeFirst() {
                guard let result = use(item, cause) else { continue }
                // The namespace may have room for another report.
                _ = openings.insert(namespace, due: now)
                return result
            }
            removeIfUnused(namespace, at: now)
        }
        return nil
    }

    /// A request for this namespace begins.
    mutating func begin(_ namespace: String, at now: Duration) {
        gates[namespace, default: Gate()].underWay += 1
        if isCommonFailure { pausedUntil = now + Self.commonPause }
    }

    /// A request ended without information about the namespace: the connection failed.
    mutating func end(_ namespace: String, at now: Duration) {
        gates[namespace]?.underWay -= 1
        _ = openings.insert(namespace, due: now)
    }

    /// The API server applied a request, or refused it because of that one object.
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
        hasSucceeded = true
        pausedUntil = .zero
        gates[namespace]?.failures = 0
        gates[namespace]?.notBefore = .zero
        gates[namespace]?.isCommon = false
        end(namespace, at: now)
    }

    /// A request failed, and others for the namespace may fail too.
    ///
    /// - Returns: what the failure means for the report.
    mutating func fail(_ namespace: String, _ failure: RequestFailure, at now: Duration) -> RequestEnd {
        failing.insert(namespace)
        if failure.isForbidden { isForbidden = true }
        var gate = gates[namespace] ?? Gate()
        gate.underWay -= 1
        var isFirst = gate.failures == 0
        if isFirst, isCommonFailure {
            gate.isCommon = true
            isFirst = failing.count == Self.commonAfter
            // The namespaces whose failures revealed the common cause are part of it.
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

    /// Removes a gate that is no longer needed.
    private mutating func removeIfUnused(_ namespace: String, at now: Duration) {
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

/// What the end of a request means for its report.
struct RequestEnd: Sendable {
    /// Whether it is the first failure of the namespace, or of all.
    var isFirstFailure = false
    /// Whether the cause is common to all namespaces.
    var isCommon = false
    /// When the next request for the namespace may begin.
    var notBefore = Duration.zero
}

/// Due reports, by their cause.
struct DueReports<Key: Hashable & Sendable>: Sendable {
    private var transitions = DueQueue<Key>()
    private var refreshes = DueQueue<Key>()

    var count: Int { transitions.count + refreshes.count }

    var isEmpty: Bool { count == 0 }

    /// How many items were created.
    var insertions: UInt64 { transitions.insertions + refreshes.insertions }

    /// How many items were created for transitions.
    var transitionInsertions: UInt64 { transitions.insertions }

    /// When the first item is due.
    var firstDue: Duration? { [transitions.first?.due, refreshes.first?.due].compactMap(\.self).min() }

    /// Creates an item.
    mutating func insert(_ key: Key, _ cause: ReportCause, due: Duration) -> DueQueue<Key>.Ticket {
        switch cause {
        case .transition: transitions.insert(key, due: due)
        case .refresh: refreshes.insert(key, due: due)
        }
    }

    /// Inserts an item of another queue, with its ticket.
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

    /// Removes the first item, transitions before refreshes, whether it is due or not.
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
