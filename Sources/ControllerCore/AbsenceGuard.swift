// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// Decides which of the volumes that a driver does not find are reported missing, and when (rules 4 and 5).
///
/// Mass absence is not absence: drivers answer NOT_FOUND for any error of their backend, and lists succeed with nothing or
/// with the half that an array answered for (docs/migration.md names them). So volumes are reported at once only while they
/// are few: within ``AbsenceLimits/hold`` never more than ``AbsenceLimits/volumes`` or ``AbsenceLimits/percent`` of the
/// volumes, whichever is more, and never the last of two or more. All others are held: each is reported when the driver still
/// does not find it after ``AbsenceLimits/hold``.
///
/// Pure: time is passed in. What is called for each reply does not walk over the missing volumes.
struct AbsenceGuard<Key: Hashable & Sendable>: Sendable {
    private struct Missing {
        /// When it was first not found, and when last.
        var since: Duration
        var lastSeen: Duration
        /// It was not found twice, or by a list and by a call.
        var isConfirmed = false
        /// A call that confirms it is still to be answered.
        var awaitsCall: Bool
        /// No list of this process had it and no call can confirm it.
        var needsHold: Bool
        /// What ``found`` was then.
        var foundBefore: UInt64
        var isReported = false

        var isHeld: Bool { !isReported && (isConfirmed || !awaitsCall) }
    }

    private let limits: AbsenceLimits
    private var missing: [Key: Missing] = [:]
    private var unreported = 0
    /// Unreported, and not merely awaiting a call.
    private var held = 0
    /// When volumes were reported before ``AbsenceLimits/hold`` was over, within the last such time.
    private var earlyReports: [Duration] = []
    /// How often a volume was found.
    private var found: UInt64 = 0
    /// The last list was empty, and one before it was not.
    private var isListEmpty = false
    /// Set while volumes are held because there are too many of them.
    private(set) var suspicion: AbsenceSuspicion?

    init(limits: AbsenceLimits) {
        self.limits = limits
    }

    /// Whether nothing is missing.
    var isEmpty: Bool { missing.isEmpty }

    /// Whether just one volume is missing and not reported.
    var isAloneUnreported: Bool { unreported == 1 }

    func contains(_ key: Key) -> Bool { missing[key] != nil }

    func isReported(_ key: Key) -> Bool { missing[key]?.isReported == true }

    /// The driver did not find it, for the first time or again.
    ///
    /// - Parameters:
    ///   - since: when that was looked for; of a list, its beginning.
    ///   - awaitsCall: a call that confirms it follows, and only that counts.
    ///   - needsHold: it is not reported before the hold is over, whatever else is found.
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
                lastSeen: now,
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
        entry.lastSeen = now
        if entry.isHeld, !wasHeld { held += 1 }
        missing[key] = entry
    }

    /// The driver has it.
    mutating func wasFound(_ key: Key) {
        found &+= 1
        if !missing.isEmpty { forget(key) }
    }

    /// It is of no interest any more.
    mutating func forget(_ key: Key) {
        guard let entry = missing.removeValue(forKey: key) else { return }
        if !entry.isReported { unreported -= 1 }
        if entry.isHeld { held -= 1 }
    }

    /// Forgets what does not pass the test.
    mutating func retain(where isIncluded: (Key) -> Bool) {
        for key in Array(missing.keys) where !isIncluded(key) { forget(key) }
    }

    /// A complete list of every volume has come.
    mutating func listed(isEmpty: Bool, wasEmpty: Bool) {
        isListEmpty = isEmpty && (isListEmpty || !wasEmpty)
    }

    /// Whether to report it now. Asked whenever the driver did not find it; true once.
    ///
    /// - Parameters:
    ///   - used: how many volumes there are that could be missing.
    ///   - settling: in what time every one of them is looked for; zero after a list, which looks for all at once.
    mutating func shouldReport(_ key: Key, used: Int, settling: Duration, at now: Duration) -> Bool {
        guard let entry = missing[key], entry.isConfirmed, !entry.isReported else { return false }
        if entry.lastSeen - entry.since >= limits.hold {
            report(key, entry)
            return true
        }
        earlyReports.removeAll { now - $0 >= limits.hold }
        guard !isOverLimit(unreported, used: used), !isListEmpty, !entry.needsHold, suspicion == nil else {
            return false
        }
        let others = min(3, used - missing.count)
        // Alone among others that are found; or all the others were looked for meanwhile, and are not missing.
        guard now - entry.since >= settling || (unreported == 1 && found &- entry.foundBefore >= UInt64(max(0, others)))
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

    /// Begins or ends the suspicion. When it ends because most were found again, what is left must be missed once more.
    mutating func review(used: Int, at now: Duration) {
        earlyReports.removeAll { now - $0 >= limits.hold }
        let isSuspect = unreported > 0 && ((isListEmpty && held > 0) || isOverLimit(held, used: used))
        if isSuspect {
            let since = suspicion?.since ?? missing.values.lazy.filter { !$0.isReported }.map(\.since).min() ?? now
            suspicion = AbsenceSuspicion(since: since, missing: unreported, of: used)
        } else if suspicion != nil, unreported == 0 || !isOverLimit(unreported, used: used) {
            suspicion = nil
            for (key, entry) in missing where !entry.isReported {
                if entry.isHeld { held -= 1 }
                missing[key] = Missing(
                    since: now,
                    lastSeen: now,
                    awaitsCall: true,
                    needsHold: entry.needsHold,
                    foundBefore: found
                )
            }
        }
    }
}

/// When missing volumes are reported.
package struct AbsenceLimits: Sendable, Hashable {
    /// After what time the absence of many is believed; zero: at once.
    package var hold: Duration
    /// So many may be missing at once in any case.
    package var volumes: Int
    /// Or so many of a hundred.
    package var percent: Int

    /// By default the larger of 5 volumes and 5 percent, and 10 minutes for more.
    package init(hold: Duration = .seconds(600), volumes: Int = 5, percent: Int = 5) {
        self.hold = hold
        self.volumes = volumes
        self.percent = percent
    }
}

/// So many volumes are missing at once that the driver is suspected, and not the volumes.
package struct AbsenceSuspicion: Sendable, Hashable {
    /// When the first of them was not found.
    package var since: Duration
    /// How many are missing and not reported.
    package var missing: Int
    /// How many volumes there are.
    package var of: Int
}

/// Why a complete list does not say how the volumes are.
package enum ListProblem: Sendable, Hashable {
    /// No entry has a volume condition, although the driver has the capability.
    case noConditions
    /// No entry's `volume_id` is the handle of any PersistentVolume of the driver. With an example of each side.
    case foreignIDs(volumeID: String, volumeHandle: String)
}
