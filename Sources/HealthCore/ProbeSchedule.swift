// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// When each volume is probed, where volumes are probed one by one.
///
/// Every volume has a slot, the same moment of every interval, so that each is probed exactly once per interval and
/// the driver sees an even stream of calls. The slots of volumes that are there from the beginning are spread over the
/// interval, at random within equal parts; a volume that turns up later is probed at once, and that is its slot.
/// Nothing comes in bursts: a volume whose reply comes late skips to its next slot, and what is overdue, because the driver
/// was away, is probed at no more than twice the even rate.
///
/// Where an interval does not suffice for all of them, because the driver is slow, the interval of all becomes longer
/// (``keptInterval``): the one that is due for the longest time comes first. Unhealthy volumes come before healthy ones, in
/// turn, so that neither starves the other.
///
/// Pure: time is passed in as a `Duration` since any fixed moment of a monotonic clock.
package struct ProbeSchedule<Key: Hashable & Sendable>: Sendable {
    /// How probing a volume went.
    package enum Outcome: Sendable, Hashable {
        /// There was a reply.
        case answered
        /// The reply needs another one to be believed.
        case unconfirmed
        /// The call failed for this volume: the next ones are further apart.
        case failed
        /// The driver could not be reached, which says nothing of this volume: it is probed in its next slot, and not
        /// at once, in case probing it is what ended the driver.
        case interrupted
    }

    private struct Entry {
        var slot: Duration
        /// Failures in a row.
        var failures = 0
        /// The item that counts; nil while the volume is being probed.
        var queued: Queued?
        /// It is probed until there is a reply, and not again.
        var isOnce = false
        /// It is probed before its slot, and in its slot again.
        var isHastened = false
        var isUnhealthy = false
        /// When it was last probed in its slot.
        var lastProbe: Duration?
        /// When the last answer came, or the volume its turn for the first time.
        var lastAnswer: Duration
    }

    private struct Queued: Equatable {
        var isUnhealthy: Bool
        var ticket: DueQueue<Key>.Ticket
    }

    package let interval: Duration
    private let minimumGap: Duration
    private var entries: [Key: Entry] = [:]
    private var healthy = DueQueue<Key>()
    private var unhealthy = DueQueue<Key>()
    private var wasUnhealthy = false
    /// Before this moment nothing is probed.
    private var nextCall = Duration.zero
    private var roundBegan: Duration
    private var roundIsWhole = true
    /// The longest time from one probe of a volume to its next, in the last round and in this one.
    private var longestGaps = (last: Duration.zero, current: Duration.zero)

    /// The wait before the reply that confirms another.
    static var confirmationDelay: Duration { .seconds(5) }
    /// A volume that keeps failing is probed at least once in so many intervals.
    static var maximumSkip: Int { 8 }

    /// A schedule of these volumes, whose first interval begins now.
    ///
    /// - Parameter minimumGap: the least time from one call to the next.
    package init(
        interval: Duration,
        minimumGap: Duration = .zero,
        _ keys: [Key],
        at now: Duration,
        using random: inout some RandomNumberGenerator
    ) {
        self.interval = interval
        self.minimumGap = minimumGap
        self.roundBegan = now
        for (number, key) in keys.enumerated() {
            let part = (Double(number) + Double.random(in: 0..<1, using: &random)) / Double(keys.count)
            enter(key, at: now + interval * part)
        }
    }

    package var count: Int { entries.count }

    /// From one probe of a volume to its next, as it was kept lately; never less than ``interval``.
    package var keptInterval: Duration { max(interval, longestGaps.last, longestGaps.current) }

    package func contains(_ key: Key) -> Bool {
        entries[key] != nil
    }

    /// A volume turned up: it is probed at once.
    package mutating func add(_ key: Key, at now: Duration) {
        if entries[key] == nil { enter(key, at: now) }
        entries[key]?.isOnce = false
    }

    /// A volume is to be probed once, as soon as possible.
    package mutating func addOnce(_ key: Key, at now: Duration) {
        guard entries[key] == nil else { return }
        enter(key, at: now)
        entries[key]?.isOnce = true
    }

    /// A volume is gone.
    package mutating func remove(_ key: Key) {
        entries[key] = nil
    }

    /// Removes all volumes but these. What is to be probed once has been in a list meanwhile, or is added anew.
    package mutating func keep(only keys: Set<Key>) {
        entries = entries.filter { keys.contains($0.key) }
    }

    /// Probes those volumes now that would be next, so many of them.
    package mutating func hasten(_ count: Int, at now: Duration) {
        var hastened: [Key] = []
        while hastened.count < count, let item = healthy.first {
            healthy.removeFirst()
            guard isCurrent(item, isUnhealthy: false) else { continue }
            hastened.append(item.element)
        }
        for key in hastened {
            let queued = insert(key, isUnhealthy: false, due: now)
            entries[key]?.isHastened = true
            entries[key]?.queued = queued
        }
    }

    /// The volume to probe now. It is being probed until ``finish(_:_:isUnhealthy:at:)``.
    package mutating func next(at now: Duration) -> ProbeStep<Key> {
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
        wasUnhealthy = takesUnhealthy
        began(item.element, at: now)
        nextCall = now + gap
        return .probe(item.element)
    }

    private mutating func dropStaleItems() {
        while let item = healthy.first, !isCurrent(item, isUnhealthy: false) { healthy.removeFirst() }
        while let item = unhealthy.first, !isCurrent(item, isUnhealthy: true) { unhealthy.removeFirst() }
    }

    private func isCurrent(_ item: DueQueue<Key>.Item, isUnhealthy: Bool) -> Bool {
        entries[item.element]?.queued == Queued(isUnhealthy: isUnhealthy, ticket: item.ticket)
    }

    private mutating func began(_ key: Key, at now: Duration) {
        guard var entry = entries[key] else { return }
        entry.queued = nil
        if !entry.isHastened, !entry.isOnce {
            if let last = entry.lastProbe, entry.failures == 0 {
                longestGaps.current = max(longestGaps.current, now - last)
            }
            entry.lastProbe = now
        }
        entries[key] = entry
    }

    /// How it went.
    ///
    /// - Parameter isUnhealthy: what is known of the volume now.
    package mutating func finish(_ key: Key, _ outcome: Outcome, isUnhealthy: Bool = false, at now: Duration) {
        // Gone meanwhile, or gone and come again.
        guard var entry = entries[key], entry.queued == nil else { return }
        guard !entry.isOnce else {
            // The next list comes back to what has failed.
            entries[key] = nil
            return
        }
        if outcome == .unconfirmed || outcome == .interrupted { roundIsWhole = false }
        if outcome == .answered || outcome == .unconfirmed { entry.lastAnswer = now }
        entry.isUnhealthy = isUnhealthy
        var due: Duration?
        switch outcome {
        case .answered where entry.isHastened && now < entry.slot:
            break
        case .answered:
            entry.failures = 0
            entry.slot = nextSlot(after: entry.slot, skipping: 1, at: now)
        case .failed:
            entry.failures += 1
            let skip = min(1 << min(entry.failures - 1, 16), Self.maximumSkip)
            entry.slot = nextSlot(after: entry.slot, skipping: skip, at: now)
        case .unconfirmed:
            due = now + min(Self.confirmationDelay, interval)
        case .interrupted:
            entry.slot = nextSlot(after: entry.slot, skipping: 1, at: now)
        }
        entry.isHastened = false
        entry.queued = insert(key, isUnhealthy: isUnhealthy, due: due ?? entry.slot)
        entries[key] = entry
    }

    /// Volumes whose last answer is older than this, with its age.
    package func unanswered(for limit: Duration, at now: Duration) -> [(key: Key, age: Duration)] {
        entries.compactMap { key, entry in
            let age = now - entry.lastAnswer
            return age > limit && !entry.isOnce ? (key, age) : nil
        }
    }

    /// An interval that has ended and in which every volume was probed; each once.
    package mutating func completedRound(at now: Duration) -> ProbeRound? {
        let end = roundBegan + interval
        guard now >= end else { return nil }
        dropStaleItems()
        let isLate = [healthy.first?.due, unhealthy.first?.due].contains { $0.map { $0 < end } ?? false }
        defer {
            roundBegan = nextSlot(after: roundBegan, skipping: 1, at: now) - interval
            roundIsWhole = true
            longestGaps = (last: longestGaps.current, current: .zero)
        }
        guard roundIsWhole, !isLate else { return nil }
        return ProbeRound(volumes: entries.count, answered: entries.values.count { $0.failures == 0 })
    }

    /// From one call to the next at least: half of what the even stream has, and a tenth of a second at most, which makes
    /// no burst of a few.
    private var gap: Duration {
        max(minimumGap, min(interval / (2 * max(entries.count, 1)), .milliseconds(100)))
    }

    private mutating func enter(_ key: Key, at slot: Duration) {
        entries[key] = Entry(
            slot: slot,
            queued: insert(key, isUnhealthy: false, due: slot),
            lastAnswer: slot
        )
    }

    private mutating func insert(_ key: Key, isUnhealthy: Bool, due: Duration) -> Queued {
        let ticket = isUnhealthy ? unhealthy.insert(key, due: due) : healthy.insert(key, due: due)
        return Queued(isUnhealthy: isUnhealthy, ticket: ticket)
    }

    /// The slot that many intervals later, or the first one that is not over.
    private func nextSlot(after slot: Duration, skipping intervals: Int, at now: Duration) -> Duration {
        let passed = now < slot ? 0 : Int((now - slot) / interval)
        return slot + interval * max(intervals, passed + 1)
    }
}

/// An interval in which volumes were probed one by one.
package struct ProbeRound: Sendable, Hashable {
    /// How many there are.
    package var volumes: Int
    /// Those of them whose last call was answered.
    package var answered: Int
}

/// What to do next where volumes are probed one by one.
package enum ProbeStep<Key: Hashable & Sendable>: Sendable, Hashable {
    /// Probe this one, then call ``ProbeSchedule/finish(_:_:isUnhealthy:at:)``.
    case probe(Key)
    /// Nothing is due before this moment; nil: before a volume turns up.
    case wait(until: Duration?)
}
