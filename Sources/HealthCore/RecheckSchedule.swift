// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// How often unhealthy volumes are probed.
package struct RecheckTiming: Sendable, Hashable {
    /// The time from the last response for an unhealthy volume to its next call.
    package var interval: Duration
    /// The interval in which all volumes are probed or listed.
    package var period: Duration

    /// - Returns: nil when `interval` is not shorter than `period`: no volume is probed more often than the others.
    package init?(interval: Duration, period: Duration) {
        guard interval > .zero, interval < period else { return nil }
        (self.interval, self.period) = (interval, period)
    }
}

/// Schedules additional calls for unhealthy volumes, so that a recovery shows soon.
///
/// A volume is due ``RecheckTiming/interval`` after its last response, whether that came from a call or in a list. A
/// call that fails ends this, until the next response shows the volume as unhealthy: a volume that does not respond is
/// left to the back-off of ``ProbeSchedule``.
///
/// However many volumes are unhealthy, in one ``RecheckTiming/period`` there are at most as many calls as a quarter of
/// all volumes; the calls for ten volumes are always allowed. Of 20,000 volumes that are probed one by one in a minute
/// (333 calls per second), 2,000 unhealthy ones get 83 calls per second more, so that one of them is probed every 17
/// seconds on average, not every 15; if all 20,000 are unhealthy, each is probed every 48 seconds. Where 20,000 are
/// listed every 5 minutes, it is at most 17 calls per second: each of 2,000 is probed every 2 minutes.
///
/// Pure. Keeps one entry for each volume that it was given: the caller gives it no more than ``capacity(volumes:)``.
package struct RecheckSchedule<Key: Hashable & Sendable>: Sendable {
    private struct Entry {
        /// The current item in the queue; nil while a call is under way.
        var queued: DueQueue<Key>.Ticket?
    }

    private let timing: RecheckTiming
    private var entries: [Key: Entry] = [:]
    private var queue = DueQueue<Key>()
    /// No call begins before this moment.
    private var nextCall = Duration.zero

    /// The calls for this number of volumes are always allowed.
    private static var alwaysAllowed: Double { 10 }

    package init(_ timing: RecheckTiming) {
        self.timing = timing
    }

    package var count: Int { entries.count }

    /// Whether the volume is to be probed again soon, or is being probed.
    package func contains(_ key: Key) -> Bool { entries[key] != nil }

    /// How many unhealthy volumes use up the allowed calls. Further ones wait for the next list, or for their turn.
    package static func capacity(volumes: Int) -> Int { max(volumes / 4, Int(alwaysAllowed)) }

    /// A response shows whether the volume is unhealthy; false also after a call that has failed.
    package mutating func set(_ key: Key, isUnhealthy: Bool, at now: Duration) {
        if isUnhealthy {
            entries[key] = Entry(queued: queue.insert(key, due: now + timing.interval))
        } else {
            remove(key)
        }
    }

    package mutating func remove(_ key: Key) {
        if !entries.isEmpty { entries[key] = nil }
    }

    /// A call for this volume is about to begin that this schedule has not returned.
    ///
    /// - Returns: false when a call for it is under way, whose response counts for this one too.
    package mutating func begin(_ key: Key) -> Bool {
        guard !entries.isEmpty, let entry = entries[key] else { return true }
        guard entry.queued != nil else { return false }
        entries[key]?.queued = nil
        return true
    }

    /// The next volume to probe. It counts as being probed until ``set(_:isUnhealthy:at:)``, which must be called in any
    /// case.
    ///
    /// - Parameters:
    ///   - earliest: no call for a volume begins before this moment.
    ///   - volumes: how many volumes there are, unhealthy or not.
    package mutating func next(at now: Duration, notBefore earliest: Duration, volumes: Int) -> NextStep<Key> {
        while let item = queue.first, entries[item.element]?.queued != item.ticket { queue.removeFirst() }
        guard let first = queue.first else { return .wait(until: nil) }
        let due = max(first.due, nextCall, earliest)
        guard due <= now else { return .wait(until: due) }
        queue.removeFirst()
        entries[first.element]?.queued = nil
        let alwaysAllowed = Self.alwaysAllowed * (timing.period / timing.interval)
        nextCall = now + timing.period / max(Double(volumes) / 4, alwaysAllowed)
        return .run(first.element)
    }
}
