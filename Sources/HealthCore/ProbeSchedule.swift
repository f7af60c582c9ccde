// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// Schedules the probes of volumes that are probed one by one.
///
/// Every volume has a slot, the same moment of every interval, so that each is probed exactly once per interval and the
/// driver gets an even stream of calls. The slots of the first volumes are spread over the interval, at random within
/// equal parts; a volume that is added later is probed at once, and that moment becomes its slot. There are no bursts:
/// a volume whose response is late skips to its next slot, and volumes that are overdue because the driver was
/// unavailable are probed at no more than twice the even rate.
///
/// With batches, the slots of an equal part of the interval are at its beginning, so that a process with few calls
/// sleeps in between. Schedules with the same interval and the same origin of time have their batches at the same
/// moments.
///
/// When the driver is too slow to respond for all volumes within an interval, the interval of all becomes longer
/// (``effectiveInterval``): the volume that has been due for the longest time comes first. Unhealthy and healthy
/// volumes that are due alternate, unhealthy ones first, so that neither starves the other.
///
/// Pure: time is passed in as a `Duration` since any fixed moment of a monotonic clock.
package struct ProbeSchedule<Key: Hashable & Sendable>: Sendable {
    /// The outcome of a probe.
    package enum Outcome: Sendable, Hashable {
        /// The driver responded.
        case responded
        /// The driver responded, and a second response must confirm the first.
        case unconfirmed
        /// The call failed for this volume: it is probed less often from now on.
        case failed
        /// The driver could not be reached, which says nothing about this volume: it is probed in its next slot, and
        /// not at once, in case its probe is what crashed the driver.
        case interrupted
    }

    private struct Entry {
        var slot: Duration
        /// Consecutive failures.
        var failures = 0
        /// The current item in a queue; nil while the volume is being probed.
        var queued: Queued?
        /// It is probed once, not in every interval.
        var isOnce = false
        /// It is probed before its slot, and again in its slot.
        var isExpedited = false
        var isUnhealthy = false
        /// When the volume was last probed in its slot.
        var lastProbe: Duration?
        /// When the driver last responded; before that, the first slot.
        var lastResponse: Duration
        /// When the last call failed, if it was after the last response.
        var lastFailure: Duration?
    }

    private struct Queued: Equatable {
        var isUnhealthy: Bool
        var ticket: DueQueue<Key>.Ticket
    }

    /// What ``next(at:)`` has changed, for ``didNotBegin(_:)``.
    private struct Beginning {
        var key: Key
        var due: Duration
        var nextCall: Duration
        var wasUnhealthy: Bool
        var lastProbe: Duration?
    }

    package let interval: Duration
    private let minimumGap: Duration
    private let maximumSkip: Int
    /// The time from one batch to the next; nil: without batches.
    private let batchInterval: Duration?
    /// How many calls have begun since the beginning of the last batch.
    private var batch = (begin: Duration.zero, calls: 0)
    private var entries: [Key: Entry] = [:]
    private var healthy = DueQueue<Key>()
    private var unhealthy = DueQueue<Key>()
    private var wasUnhealthy = false
    /// No call begins before this moment.
    package private(set) var nextCall = Duration.zero
    private var lastBeginning: Beginning?
    private var roundBegan: Duration
    private var roundIsWhole = true
    private var roundIsConfirmed = true
    /// When the driver last responded for any volume.
    private var lastResponse: Duration?
    /// Since when it responds, without two intervals in which it did not.
    private var respondingSince: Duration?
    /// Since when calls may begin, after a pause.
    private var resumed: Duration
    /// Of volumes that are being probed in their slots: the time since the last such probe.
    private var gaps: [Key: Duration] = [:]
    /// The longest time from one probe of a volume to its next, in the last round and in the current one.
    private var longestGaps = (last: Duration.zero, current: Duration.zero)

    /// The delay before the probe that confirms a response.
    static var confirmationDelay: Duration { .seconds(5) }
    /// By default, a volume whose calls keep failing is probed at least once in this number of intervals.
    package static var maximumSkip: Int { 8 }

    /// A schedule of these volumes. The first interval begins now.
    ///
    /// - Parameters:
    ///   - minimumGap: the minimum time from one call to the next.
    ///   - maximumSkip: a volume whose calls keep failing is probed at least once in this number of intervals.
    ///   - batches: the number of batches in an interval; nil: without batches.
    package init(
        interval: Duration,
        minimumGap: Duration = .zero,
        maximumSkip: Int = Self.maximumSkip,
        batches: Int? = nil,
        _ keys: [Key],
        at now: Duration,
        using random: inout some RandomNumberGenerator
    ) {
        self.interval = interval
        self.minimumGap = minimumGap
        self.maximumSkip = maximumSkip
        self.batchInterval = batches.map { interval / $0 }
        self.roundBegan = now
        self.resumed = now
        for (number, key) in keys.enumerated() {
            let part = (Double(number) + Double.random(in: 0..<1, using: &random)) / Double(keys.count)
            enter(key, at: now + interval * part)
        }
    }

    package var count: Int { entries.count }

    /// Items in the queues, stale ones included.
    var queuedItems: Int { healthy.count + unhealthy.count }

    /// The time from one probe of a volume to its next: what was achieved recently, also before any was probed twice, and
    /// never less than ``interval`` or than the minimum gaps of all volumes take. Longer pauses than an interval do not
    /// count, nor does the time in which the driver did not respond for more than two such intervals.
    package var effectiveInterval: Duration {
        max(interval, longestGaps.last, longestGaps.current, minimumGap * entries.count)
    }

    /// When the current round ends, unless volumes are late.
    package var roundEnd: Duration { roundBegan + interval }

    package func contains(_ key: Key) -> Bool {
        entries[key] != nil
    }

    /// Adds a volume, which is probed at this moment, at once or later; the moment becomes its slot.
    package mutating func add(_ key: Key, at now: Duration) {
        if entries[key] == nil { enter(key, at: now) }
        entries[key]?.isOnce = false
    }

    /// Schedules one probe of a volume, as soon as possible.
    package mutating func addOnce(_ key: Key, at now: Duration) {
        guard entries[key] == nil else { return }
        enter(key, at: now)
        entries[key]?.isOnce = true
    }

    /// The first interval begins now: the volumes of earlier ones were others.
    package mutating func beginRound(at now: Duration) {
        roundBegan = now
        (roundIsWhole, roundIsConfirmed) = (true, true)
    }

    /// Removes a volume.
    package mutating func remove(_ key: Key) {
        entries[key] = nil
        gaps[key] = nil
        // While the driver is not probed, nothing else removes them.
        if queuedItems > 2 * entries.count + 64 { removeStaleItems() }
    }

    /// Removes all volumes but these. Volumes to be probed once are removed too: they have been in a list meanwhile, or
    /// the caller adds them again.
    package mutating func keep(only keys: Set<Key>) {
        entries = entries.filter { keys.contains($0.key) }
    }

    /// Calls may begin again after a pause of more than an interval.
    package mutating func resume(at now: Duration) { resumed = now }

    /// Makes up to `count` healthy volumes due now: those whose slots come next.
    package mutating func expedite(_ count: Int, at now: Duration) {
        var expedited: [Key] = []
        while expedited.count < count, let item = healthy.first {
            healthy.removeFirst()
            guard isCurrent(item, isUnhealthy: false) else { continue }
            expedited.append(item.element)
        }
        for key in expedited {
            let queued = insert(key, isUnhealthy: false, due: now)
            entries[key]?.isExpedited = true
            entries[key]?.queued = queued
        }
    }

    /// The next volume to probe. It counts as being probed until ``finish(_:_:isUnhealthy:at:)`` or
    /// ``postpone(_:until:)``, one of which must be called in any case.
    package mutating func next(at now: Duration) -> NextStep<Key> {
        dropStaleItems()
        let due = [healthy.first?.due, unhealthy.first?.due].compactMap(\.self).min()
        guard let due else { return .wait(until: nil) }
        if max(due, nextCall) > now { return .wait(until: max(due, nextCall)) }
        let healthyIsDue = healthy.first.map { $0.due <= now } ?? false
        let unhealthyIsDue = unhealthy.first.map { $0.due <= now } ?? false
        let takesUnhealthy = unhealthyIsDue && !(healthyIsDue && wasUnhealthy)
        guard let item = takesUnhealthy ? unhealthy.removeFirst(dueBy: now) : healthy.removeFirst(dueBy: now) else {
            return .wait(until: nil)
        }
        lastBeginning = Beginning(
            key: item.element,
            due: item.due,
            nextCall: nextCall,
            wasUnhealthy: wasUnhealthy,
            lastProbe: entries[item.element]?.lastProbe
        )
        wasUnhealthy = takesUnhealthy
        began(item.element, at: now)
        callBegan(at: now)
        return .run(item.element)
    }

    /// The call for the volume that ``next(at:)`` returned last does not begin: it does not count towards the rate of
    /// calls. ``postpone(_:until:)`` makes the volume due again.
    ///
    /// - Returns: since when the volume has been due; nil if another volume was returned last.
    @discardableResult
    package mutating func didNotBegin(_ key: Key) -> Duration? {
        guard let beginning = lastBeginning, beginning.key == key else { return nil }
        lastBeginning = nil
        nextCall = beginning.nextCall
        batch.calls -= 1
        wasUnhealthy = beginning.wasUnhealthy
        entries[key]?.lastProbe = beginning.lastProbe
        gaps[key] = nil
        return beginning.due
    }

    /// A call begins that ``next(at:)`` has not returned: it counts towards the rate of calls.
    package mutating func callBegan(at now: Duration) {
        nextCall = batchInterval.map { nextCall(at: now, withBatchesEvery: $0) } ?? now + gap
    }

    /// The minimum time between two calls: half the distance in the even stream, at most a tenth of a second, so that a
    /// few overdue volumes make no burst.
    private var gap: Duration {
        max(minimumGap, min(interval / (2 * max(entries.count, 1)), .milliseconds(100)))
    }

    /// When another call may begin: at once until a batch has twice its share of the volumes, or a few, then as without
    /// batches.
    private mutating func nextCall(at now: Duration, withBatchesEvery batchInterval: Duration) -> Duration {
        let begin = beginOfBatch(at: now)
        if begin != batch.begin { batch = (begin, 0) }
        batch.calls += 1
        let share = Double(entries.count) * (batchInterval / interval)
        let isFull = Double(batch.calls) >= max(4, 2 * share)
        return max(now + minimumGap, isFull ? min(begin + batchInterval, now + gap) : now)
    }

    private func beginOfBatch(at time: Duration) -> Duration {
        guard let batchInterval else { return time }
        return batchInterval * Int(time / batchInterval)
    }

    private mutating func dropStaleItems() {
        while let item = healthy.first, !isCurrent(item, isUnhealthy: false) { healthy.removeFirst() }
        while let item = unhealthy.first, !isCurrent(item, isUnhealthy: true) { unhealthy.removeFirst() }
    }

    /// Removes those that are not due yet too. O(n).
    private mutating func removeStaleItems() {
        let entries = entries
        healthy.keep { entries[$0.element]?.queued == Queued(isUnhealthy: false, ticket: $0.ticket) }
        unhealthy.keep { entries[$0.element]?.queued == Queued(isUnhealthy: true, ticket: $0.ticket) }
    }

    private func isCurrent(_ item: DueQueue<Key>.Item, isUnhealthy: Bool) -> Bool {
        entries[item.element]?.queued == Queued(isUnhealthy: isUnhealthy, ticket: item.ticket)
    }

    private mutating func began(_ key: Key, at now: Duration) {
        guard var entry = entries[key] else { return }
        entry.queued = nil
        gaps[key] = nil
        if !entry.isExpedited, !entry.isOnce {
            if let last = entry.lastProbe, entry.failures == 0, last >= runBegan { gaps[key] = now - last }
            entry.lastProbe = now
        }
        entries[key] = entry
    }

    /// Since when the driver is called and responds: before that, volumes waited for another reason than its speed.
    private var runBegan: Duration { max(resumed, respondingSince ?? resumed) }

    /// The driver has responded, after `gap` for a volume that was probed in its slot.
    private mutating func noteResponse(gap: Duration?, at now: Duration) {
        if lastResponse.map({ now - $0 > effectiveInterval * 2 }) ?? true { respondingSince = now }
        lastResponse = now
        if let gap { longestGaps.current = max(longestGaps.current, gap) }
        // The volume that is next waits for as long already: so a driver that is too slow shows before the second round.
        dropStaleItems()
        guard let next = [healthy.first, unhealthy.first].compactMap(\.self).min(by: { $0.due < $1.due }),
            let entry = entries[next.element], next.due < now
        else { return }
        let last = entry.failures == 0 ? entry.lastProbe ?? next.due : next.due
        longestGaps.current = max(longestGaps.current, now - max(last, runBegan))
    }

    /// A probe ended.
    ///
    /// - Parameter isUnhealthy: whether the volume is known to be unhealthy now.
    package mutating func finish(_ key: Key, _ outcome: Outcome, isUnhealthy: Bool = false, at now: Duration) {
        let gap = gaps.removeValue(forKey: key)
        // The volume was removed meanwhile, or removed and added again.
        guard var entry = entries[key], entry.queued == nil else { return }
        guard !entry.isOnce else {
            // If the probe failed, the next list adds the volume again.
            entries[key] = nil
            return
        }
        if outcome == .interrupted { roundIsWhole = false }
        if outcome == .unconfirmed { roundIsConfirmed = false }
        if outcome == .responded || outcome == .unconfirmed {
            (entry.lastResponse, entry.lastFailure) = (now, nil)
            // Where calls hang, the volumes that wait for them say nothing of what is achieved.
            noteResponse(gap: gap, at: now)
        }
        entry.isUnhealthy = isUnhealthy
        var due: Duration?
        switch outcome {
        case .responded where entry.isExpedited && now < entry.slot:
            break
        case .responded:
            // It counts for the slot that has passed meanwhile.
            if entry.isExpedited { entry.lastProbe = now }
            entry.failures = 0
            entry.slot = nextSlot(after: entry.slot, skipping: 1, at: now)
        case .failed:
            entry.failures += 1
            entry.lastFailure = now
            let skip = min(1 << min(entry.failures - 1, 16), maximumSkip)
            // From its last slot that has passed, in case the probe was late.
            entry.slot = nextSlot(after: entry.slot, skipping: 1, at: now) + interval * (skip - 1)
        case .unconfirmed:
            due = now + min(Self.confirmationDelay, interval)
        case .interrupted:
            entry.slot = nextSlot(after: entry.slot, skipping: 1, at: now)
        }
        // The second response may come before its slot, too.
        if outcome != .unconfirmed { entry.isExpedited = false }
        entry.queued = insert(key, isUnhealthy: isUnhealthy, due: due ?? entry.slot)
        entries[key] = entry
    }

    /// The probe that ``next(at:)`` returned does not begin, or has to be repeated: it is due again at this moment, and
    /// the slot of the volume stays.
    package mutating func postpone(_ key: Key, until due: Duration) {
        gaps[key] = nil
        guard let entry = entries[key], entry.queued == nil else { return }
        let queued = insert(key, isUnhealthy: entry.isUnhealthy, due: due)
        entries[key]?.queued = queued
    }

    /// A volume whose calls have failed, or that was postponed, is probed in its next slot, at once if that has passed.
    /// Failures of its calls still count: after one more, it is probed less often again.
    package mutating func endBackoff(of key: Key, at now: Duration) {
        guard let entry = entries[key], entry.queued != nil else { return }
        let slot = entry.slot - interval * Int(max(.zero, entry.slot - now) / interval)
        let queued = insert(key, isUnhealthy: entry.isUnhealthy, due: slot)
        entries[key]?.slot = slot
        entries[key]?.queued = queued
    }

    /// Volumes that were called and whose last response is older than this, with its age.
    package func unresponsive(for limit: Duration, at now: Duration) -> [(key: Key, age: Duration)] {
        entries.compactMap { key, entry in
            let age = now - entry.lastResponse
            return age > limit && !entry.isOnce && entry.lastProbe != nil ? (key, age) : nil
        }
    }

    /// Those of ``unresponsive(for:at:)`` whose last call failed while the driver responded for others, or which are the
    /// only one.
    package func failing(for limit: Duration, at now: Duration) -> [Key] {
        entries.compactMap { key, entry in
            guard now - entry.lastResponse > limit, !entry.isOnce, let failed = entry.lastFailure else { return nil }
            let since = entries.count == 1 ? resumed : respondingSince
            return since.map { failed >= $0 } ?? false ? key : nil
        }
    }

    /// The volumes whose last call failed.
    package var failingKeys: [Key] { entries.filter { $0.value.failures > 0 }.map(\.key) }

    /// Whether the driver has responded for any volume within this time.
    package func hasResponses(within limit: Duration, at now: Duration) -> Bool {
        lastResponse.map { now - $0 <= limit } ?? false
    }

    /// The interval that has just ended, if every volume was probed in it; returned once. nil otherwise.
    package mutating func completedRound(at now: Duration) -> ProbeRound? {
        let end = roundEnd
        guard now >= end else { return nil }
        dropStaleItems()
        let isLate = [healthy.first?.due, unhealthy.first?.due].contains { $0.map { $0 < end } ?? false }
        // Volumes whose slots are just before the end are probed just after it, in every round.
        guard !isLate else { return nil }
        defer {
            roundBegan = nextSlot(after: roundBegan, skipping: 1, at: now) - interval
            (roundIsWhole, roundIsConfirmed) = (true, true)
            longestGaps = (last: longestGaps.current, current: .zero)
        }
        guard roundIsWhole else { return nil }
        return ProbeRound(
            volumes: entries.count,
            responses: entries.values.count { $0.failures == 0 },
            isConfirmed: roundIsConfirmed
        )
    }

    /// The first probe is at this moment, later ones in its batch.
    private mutating func enter(_ key: Key, at moment: Duration) {
        entries[key] = Entry(
            slot: beginOfBatch(at: moment),
            queued: insert(key, isUnhealthy: false, due: moment),
            lastResponse: moment
        )
    }

    private mutating func insert(_ key: Key, isUnhealthy: Bool, due: Duration) -> Queued {
        let ticket = isUnhealthy ? unhealthy.insert(key, due: due) : healthy.insert(key, due: due)
        return Queued(isUnhealthy: isUnhealthy, ticket: ticket)
    }

    /// The slot this number of intervals later, or the first one that has not passed.
    private func nextSlot(after slot: Duration, skipping intervals: Int, at now: Duration) -> Duration {
        let passed = now < slot ? 0 : Int((now - slot) / interval)
        return slot + interval * max(intervals, passed + 1)
    }
}

/// The result of an interval in which volumes were probed one by one.
package struct ProbeRound: Sendable, Hashable {
    /// The number of volumes.
    package var volumes: Int
    /// How many of them had a response to their last call.
    package var responses: Int
    /// No response in it had to be confirmed by another.
    package var isConfirmed = true
}
