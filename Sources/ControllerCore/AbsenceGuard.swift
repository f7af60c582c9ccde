// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// Decides which of the volumes that the driver does not find are reported missing, and when (rules 4 and 5).
///
/// Mass absence is not absence: some drivers return NOT_FOUND for any error of their backend, or a list that is empty
/// or has only the volumes of the arrays that responded (docs/migration.md names them). So volumes are reported early
/// only while they are few: within ``AbsenceLimits/hold`` at most ``AbsenceLimits/volumes`` or
/// ``AbsenceLimits/percent`` of the volumes, whichever is more, and never all of two or more. The others are held.
///
/// | The driver does not find a volume | Volumes missing | Decision |
/// |---|---|---|
/// | for the first time, a call is to confirm it | any | wait for the call |
/// | for the first time, in a list that no call can confirm | few | wait for the next list |
/// | for the first time, in a list that no call can confirm | many | hold, suspect the driver |
/// | again, which confirms it | only this one | report, once three others were found or all were probed |
/// | again, which confirms it | few | report, once all volumes were probed (`settling`) |
/// | again, with `needsHold` | few | hold |
/// | again, which confirms it | many | hold, suspect the driver |
/// | the list is empty, after one of two or more entries | any | hold, suspect the driver |
/// | any longer than ``AbsenceLimits/hold`` | any | report |
///
/// Many are more than the limits, those reported early included, or all of two or more. While the driver is suspected
/// no volume is reported early. The suspicion ends when few are missing: those must then be confirmed again, and
/// ``AbsenceLimits/hold`` still counts from when they were first missing.
///
/// Pure: time is passed in. The methods that are called for each response do not iterate over the missing volumes.
struct AbsenceGuard<Key: Hashable & Sendable>: Sendable {
    private struct Missing {
        /// When the volume was first not found.
        var since: Duration
        /// From when on all others are probed before it is reported early (`settling`).
        var settlesFrom: Duration
        /// When it was last not found.
        var lastMissed: Duration
        /// Two calls, two complete lists, or a list and a call did not find it.
        var isConfirmed = false
        /// A call is to confirm it: the absence from the list alone does not count.
        var awaitsCall: Bool
        /// It is not reported before ``AbsenceLimits/hold`` has passed, however few are missing.
        var needsHold: Bool
        /// The value of ``found`` when it was first not found.
        var foundBefore: UInt64
        var isReported = false

        init(since: Duration, lastMissed: Duration, awaitsCall: Bool, needsHold: Bool, foundBefore: UInt64) {
            self.since = since
            settlesFrom = since
            self.lastMissed = lastMissed
            self.awaitsCall = awaitsCall
            self.needsHold = needsHold
            self.foundBefore = foundBefore
        }

        var isHeld: Bool { !isReported && (isConfirmed || !awaitsCall) }
    }

    private let limits: AbsenceLimits
    private var missing: [Key: Missing] = [:]
    private var unreported = 0
    /// How many are missing, not reported, and await no call.
    private var held = 0
    /// When volumes were reported early, within the last ``AbsenceLimits/hold``.
    private var earlyReports: [Duration] = []
    /// How often any volume was found.
    private var found: UInt64 = 0
    /// The last list was empty, after one of two or more entries.
    private var isListEmpty = false
    /// Set while volumes are held because too many are missing.
    private(set) var suspicion: AbsenceSuspicion?

    init(limits: AbsenceLimits) {
        self.limits = limits
    }

    /// Whether no volume is missing.
    var isEmpty: Bool { missing.isEmpty }

    /// Whether exactly one missing volume is not reported.
    var hasSingleUnreported: Bool { unreported == 1 }

    func contains(_ key: Key) -> Bool { missing[key] != nil }

    func isReported(_ key: Key) -> Bool { missing[key]?.isReported == true }

    /// The driver did not find the volume, for the first time or again.
    ///
    /// - Parameters:
    ///   - since: when the call or the list began.
    ///   - awaitsCall: a call follows, and only its result confirms that the volume is missing.
    ///   - needsHold: the volume is not reported before ``AbsenceLimits/hold`` has passed, however few are missing.
    mutating func notFound(
        _ key: Key,
        since: Duration,
        at now: Duration,
        awaitsCall: Bool = false,
        needsHold: Bool = false
    ) {
        guard var entry = missing[key] else {
            missing[key] = Missing(
                since: since,
                lastMissed: now,
                awaitsCall: awaitsCall,
                needsHold: needsHold,
                foundBefore: found
            )
            unreported += 1
            if !awaitsCall { held += 1 }
            return
        }
        if awaitsCall { return }
        let wasHeld = entry.isHeld
        entry.isConfirmed = true
        entry.lastMissed = now
        if entry.isHeld, !wasHeld { held += 1 }
        missing[key] = entry
    }

    /// The driver found the volume.
    mutating func wasFound(_ key: Key) {
        found &+= 1
        if !missing.isEmpty { forget(key) }
    }

    /// Forgets the volume: it is gone, or was found.
    mutating func forget(_ key: Key) {
        guard let entry = missing.removeValue(forKey: key) else { return }
        if !entry.isReported { unreported -= 1 }
        if entry.isHeld { held -= 1 }
    }

    /// Forgets the volumes that do not satisfy the predicate.
    mutating func retain(where isIncluded: (Key) -> Bool) {
        for key in Array(missing.keys) where !isIncluded(key) { forget(key) }
    }

    /// The driver returned a complete list of every volume.
    ///
    /// - Parameter wasEmpty: whether the last list that was not empty had fewer than two entries.
    mutating func listed(isEmpty: Bool, wasEmpty: Bool) {
        isListEmpty = isEmpty && (isListEmpty || !wasEmpty)
    }

    /// Whether to report the volume now. Called whenever the driver did not find it; returns true once.
    ///
    /// - Parameters:
    ///   - used: how many volumes the driver is expected to find.
    ///   - settling: how long it takes to probe all of them; zero after a list, which has all at once.
    mutating func shouldReport(_ key: Key, used: Int, settling: Duration, at now: Duration) -> Bool {
        guard let entry = missing[key], entry.isConfirmed, !entry.isReported else { return false }
        if entry.lastMissed - entry.since >= limits.hold {
            report(key, entry)
            return true
        }
        earlyReports.removeAll { now - $0 >= limits.hold }
        guard !isOverLimit(unreported, used: used), !isListEmpty, !entry.needsHold, suspicion == nil else {
            return false
        }
        let others = min(3, used - missing.count)
        // Either all other volumes were probed meanwhile and are not missing, or this is the only one and others were
        // found.
        guard
            now - entry.settlesFrom >= settling
                || (unreported == 1 && found &- entry.foundBefore >= UInt64(max(0, others)))
        else { return false }
        earlyReports.append(now)
        report(key, entry)
        return true
    }

    private mutating func report(_ key: Key, _ entry: Missing) {
        unreported -= 1
        if entry.isHeld { held -= 1 }
        missing[key]?.isReported = true
    }

    private func isOverLimit(_ count: Int, used: Int) -> Bool {
        let total = earlyReports.count + count
        if total > max(limits.volumes, used * limits.percent / 100) { return true }
        return total >= 2 && used - missing.count <= 0
    }

    /// Begins or ends the suspicion of the driver. When it ends because most volumes were found again, the rest must be
    /// confirmed again.
    mutating func review(used: Int, at now: Duration) {
        earlyReports.removeAll { now - $0 >= limits.hold }
        let isSuspect = unreported > 0 && ((isListEmpty && held > 0) || isOverLimit(held, used: used))
        if isSuspect {
            let since = suspicion?.since ?? missing.values.lazy.filter { !$0.isReported }.map(\.since).min() ?? now
            suspicion = AbsenceSuspicion(since: since, missing: unreported, used: used)
        } else if suspicion != nil, unreported == 0 || !isOverLimit(unreported, used: used) {
            suspicion = nil
            for (key, entry) in missing where !entry.isReported {
                if entry.isHeld { held -= 1 }
                var entry = entry
                (entry.isConfirmed, entry.awaitsCall) = (false, true)
                (entry.settlesFrom, entry.foundBefore) = (now, found)
                missing[key] = entry
            }
        }
    }
}

/// When missing volumes are reported.
package struct AbsenceLimits: Sendable, Hashable {
    /// After what time the absence of many volumes is reported; zero: at once.
    package var hold: Duration
    /// How many volumes may be reported early, however few the driver has.
    package var volumes: Int
    /// How many percent of the volumes may be reported early.
    package var percent: Int

    /// By default 5 volumes or 5 percent, whichever is more, and 10 minutes for more.
    package init(hold: Duration = .seconds(600), volumes: Int = 5, percent: Int = 5) {
        self.hold = hold
        self.volumes = volumes
        self.percent = percent
    }
}

/// So many volumes are missing at once that the driver, not its volumes, is suspected to be at fault.
package struct AbsenceSuspicion: Sendable, Hashable {
    /// When the first of the missing volumes was not found.
    package var since: Duration
    /// How many missing volumes are not reported.
    package var missing: Int
    /// How many volumes the driver is expected to find.
    package var used: Int
}

/// Why a complete list does not show the health of the volumes.
package enum ListProblem: Sendable, Hashable {
    /// No entry has a volume condition, although the driver has VOLUME_CONDITION.
    case noConditions
    /// No entry's `volume_id` is the handle of a PersistentVolume of the driver; with an example of each.
    case foreignIDs(volumeID: String, volumeHandle: String)
}
