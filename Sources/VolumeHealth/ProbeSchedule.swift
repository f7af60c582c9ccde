// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// When each volume is asked for, where volumes are asked for one by one.
///
/// Every volume has a slot, the same moment of every interval, so that each is asked for exactly once per interval and
/// the driver sees an even stream of calls. The slots of volumes that are there from the beginning are spread over the
/// interval, at random within equal parts; a volume that turns up later is asked for at once, and that is its slot.
/// Nothing comes in bursts: whose answer comes late skips to its next slot, and what is overdue, because the driver was
/// away, is asked for at no more than twice the even rate.
///
/// Pure: time is passed in as a `Duration` since any fixed moment of a monotonic clock.
struct ProbeSchedule: Sendable {
    /// How asking for a volume went.
    enum Outcome: Sendable, Hashable {
        /// There was an answer.
        case answered
        /// The answer needs another one to be believed.
        case unconfirmed
        /// The call failed for this volume: the next ones are further apart.
        case failed
        /// The driver could not be reached, which says nothing of this volume: it is asked for in its next slot, and not
        /// at once, in case asking for it is what ended the driver.
        case interrupted
    }

    private struct Entry {
        var slot: Duration
        /// Failures in a row.
        var failures = 0
        /// The item in the queue that counts; nil while the volume is being asked for.
        var ticket: DueQueue<String>.Ticket?
    }

    let interval: Duration
    private var entries: [String: Entry] = [:]
    private var queue = DueQueue<String>()
    /// Before this moment nobody is asked for.
    private var nextCall = Duration.zero
    private var roundBegan: Duration
    private var roundIsWhole = true

    /// The wait before the answer that confirms another.
    static let confirmationDelay = Duration.seconds(5)
    /// A volume that keeps failing is asked for at least once in so many intervals.
    static let maximumSkip = 8

    /// A schedule of these volumes, whose first interval begins now.
    init(
        interval: Duration,
        volumeHandles: [String],
        at now: Duration,
        using random: inout some RandomNumberGenerator
    ) {
        self.interval = interval
        self.roundBegan = now
        for (number, handle) in volumeHandles.enumerated() {
            let part = (Double(number) + Double.random(in: 0..<1, using: &random)) / Double(volumeHandles.count)
            enter(handle, at: now + interval * part)
        }
    }

    func contains(_ handle: String) -> Bool {
        entries[handle] != nil
    }

    /// A volume turned up: it is asked for at once.
    mutating func add(_ handle: String, at now: Duration) {
        if entries[handle] == nil { enter(handle, at: now) }
    }

    /// A volume is gone.
    mutating func remove(_ handle: String) {
        entries[handle] = nil
    }

    /// The volume to ask for now. It is being asked for until ``finish(_:_:at:)``.
    mutating func next(at now: Duration) -> ProbeStep {
        while let item = queue.first {
            guard entries[item.element]?.ticket == item.ticket else {
                queue.removeFirst()
                continue
            }
            let due = max(item.due, nextCall)
            if due > now { return .wait(until: due) }
            queue.removeFirst()
            entries[item.element]?.ticket = nil
            nextCall = now + gap
            return .probe(volumeHandle: item.element)
        }
        return .wait(until: nil)
    }

    /// How it went.
    mutating func finish(_ handle: String, _ outcome: Outcome, at now: Duration) {
        // Gone meanwhile, or gone and come again.
        guard var entry = entries[handle], entry.ticket == nil else { return }
        if outcome != .answered { roundIsWhole = false }
        switch outcome {
        case .answered:
            entry.failures = 0
            entry.slot = nextSlot(after: entry.slot, skipping: 1, at: now)
            entry.ticket = queue.insert(handle, due: entry.slot)
        case .failed:
            entry.failures += 1
            let skip = min(1 << min(entry.failures - 1, 16), Self.maximumSkip)
            entry.slot = nextSlot(after: entry.slot, skipping: skip, at: now)
            entry.ticket = queue.insert(handle, due: entry.slot)
        case .unconfirmed:
            entry.ticket = queue.insert(handle, due: now + min(Self.confirmationDelay, interval))
        case .interrupted:
            entry.slot = nextSlot(after: entry.slot, skipping: 1, at: now)
            entry.ticket = queue.insert(handle, due: entry.slot)
        }
        entries[handle] = entry
    }

    /// Whether an interval has ended in which every volume was asked for and answered; true once for each.
    mutating func completedRound(at now: Duration) -> Bool {
        let end = roundBegan + interval
        guard now >= end else { return false }
        let isLate = queue.first.map { $0.due < end } ?? false
        defer {
            roundBegan = nextSlot(after: roundBegan, skipping: 1, at: now) - interval
            roundIsWhole = true
        }
        // Whoever backs off is not asked for in every interval.
        return roundIsWhole && !isLate && entries.values.allSatisfy { $0.failures == 0 }
    }

    /// From one call to the next at least: half of what the even stream has, and a tenth of a second at most, which makes
    /// no burst of a few.
    private var gap: Duration {
        min(interval / (2 * max(entries.count, 1)), .milliseconds(100))
    }

    private mutating func enter(_ handle: String, at slot: Duration) {
        entries[handle] = Entry(slot: slot, ticket: queue.insert(handle, due: slot))
    }

    /// The slot that many intervals later, or the first one that is not over.
    private func nextSlot(after slot: Duration, skipping intervals: Int, at now: Duration) -> Duration {
        let passed = now < slot ? 0 : Int((now - slot) / interval)
        return slot + interval * max(intervals, passed + 1)
    }
}

/// What whoever asks for volumes one by one has to do next.
public enum ProbeStep: Sendable, Hashable {
    /// Ask for this volume, then say what came of it.
    case probe(volumeHandle: String)
    /// Nothing is due before this moment; nil: before a volume turns up.
    case wait(until: Duration?)
}
