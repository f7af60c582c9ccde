// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// When a volume is flapping, and what that means for its reports.
package struct FlappingLimits: Sendable, Hashable {
    /// A volume that changes more often than this within ``quietTime`` is flapping; 0: flapping is not detected.
    package var threshold: Int
    /// Flapping ends when the volume has not changed for this long.
    package var quietTime: Duration
    /// The minimum time from one report on a flapping volume to the next.
    package var pause: Duration

    package init(threshold: Int, quietTime: Duration = .seconds(3600), pause: Duration = .seconds(600)) {
        self.threshold = threshold
        self.quietTime = quietTime
        self.pause = pause
    }

    /// Flapping is not detected.
    package static let off = FlappingLimits(threshold: 0)
}

/// Detects keys whose state changes too often, and lets one change of each pass per ``FlappingLimits/pause``.
///
/// - A key that does not change uses no memory. Of a key that has changed once, only the time is kept, because in an
///   outage many keys change once; of a key that has changed again, the times of its last changes, at most
///   ``FlappingLimits/threshold`` + 1. Both are removed some time after it has been quiet for
///   ``FlappingLimits/quietTime``.
/// - The change that exceeds the threshold begins the flapping and the first pause.
/// - The latest state wins: at the end of a pause ``release(at:)`` returns the current state, if it differs from the
///   reported one. Without further changes it is therefore reported before the flapping ends.
///
/// Pure.
package struct FlapGuard<Key: Hashable & Sendable, State: Reportable>: Sendable {
    /// What is known of a key that flaps.
    package struct Flapping: Sendable, Equatable {
        /// How often the state has changed since ``since``.
        package var changes: Int
        /// The first change that was followed by others, each within the quiet time.
        package var since: Duration
    }

    /// What ``release(at:)`` returns.
    package struct Release: Sendable {
        /// States to report now.
        package var states: [(key: Key, state: State)] = []
        /// Keys that do not flap any more.
        package var ended: [Key] = []
    }

    /// The changes of a key that has changed more than once.
    private struct History {
        var first: Duration
        var last: Duration
        /// The changes after ``first`` and before ``last``, as far as they count: none of a key that has changed twice,
        /// as many keys do in an outage.
        var between: [Duration] = []
        var total: Int32 = 1

        init(firstChange: Duration) { (first, last) = (firstChange, firstChange) }
    }

    private struct Pause {
        /// The last report, or the beginning of the flapping.
        var reported: Duration
        /// The current state, where it differs from the reported one.
        var state: State?
        var end: DueQueue<Key>.Ticket?
        /// When the key may have been quiet for long enough.
        var endOfFlapping: DueQueue<Key>.Ticket
    }

    private let limits: FlappingLimits
    /// When the keys changed that have changed once.
    private var firstChanges: [Key: Duration] = [:]
    private var histories: [Key: History] = [:]
    /// When ``firstChanges`` and ``histories`` are next searched for keys that have been quiet; nil: both are empty.
    private var nextCleanUp: Duration?
    private var cleanUps: UInt64 = 0
    /// The keys that flap.
    private var pauses: [Key: Pause] = [:] { didSet { isFlapping = !pauses.isEmpty } }
    /// Whether any key flaps. Stored for the reason of ``ReportQueue/isEmpty``.
    package private(set) var isFlapping = false
    private var endsOfPauses = DueQueue<Key>()
    private var endsOfFlapping = DueQueue<Key>()

    package init(_ limits: FlappingLimits) {
        self.limits = limits
    }

    /// The keys that flap.
    package var flappingKeys: some Collection<Key> { pauses.keys }

    /// The keys that have changed recently.
    package var keys: [Key] { Array(firstChanges.keys) + Array(histories.keys) }

    /// How often the key has changed, if it flaps; nil otherwise.
    package func flapping(_ key: Key) -> Flapping? {
        guard pauses[key] != nil, let history = histories[key] else { return nil }
        return Flapping(changes: Int(history.total), since: history.first)
    }

    /// The current state, while it waits for the end of a pause; nil otherwise.
    package func waiting(_ key: Key) -> State? {
        pauses.isEmpty ? nil : pauses[key]?.state
    }

    /// How often a call of ``release(at:)`` was scheduled.
    package var plans: UInt64 { endsOfPauses.insertions + endsOfFlapping.insertions + cleanUps }

    /// When ``release(at:)`` has something to do next.
    package var firstDue: Duration? {
        [endsOfPauses.first?.due, endsOfFlapping.first?.due, nextCleanUp].compactMap(\.self).min()
    }

    /// The state is this one now. Returns whether it may be reported now; otherwise it waits for the end of the pause.
    ///
    /// - Parameter reported: the fingerprint of the state that was reported; nil: it is clear, or none was reported.
    package mutating func passes(_ state: State, for key: Key, reported: Fingerprint?, at now: Duration) -> Bool {
        guard limits.threshold > 0 else { return true }
        let fingerprint = state.unclearFingerprint
        let last: Fingerprint? = waiting(key).map(\.unclearFingerprint) ?? reported
        if fingerprint != last { count(key, at: now) }
        guard var pause = pauses[key] else { return true }
        defer { pauses[key] = pause }
        if fingerprint == reported {
            // Nothing to report but details.
            pause.state = nil
            return true
        }
        if now - pause.reported >= limits.pause {
            // An item of the last pause that is still queued becomes stale.
            (pause.state, pause.reported, pause.end) = (nil, now, nil)
            return true
        }
        pause.state = state
        if pause.end == nil { pause.end = endsOfPauses.insert(key, due: pause.reported + limits.pause) }
        return false
    }

    /// A key was unhealthy and is healthy again, and neither was to be reported: both changes count.
    package mutating func countUnreported(_ key: Key, at now: Duration) {
        guard limits.threshold > 0 else { return }
        count(key, at: now)
        count(key, at: now)
    }

    /// Counts a change, which may begin the flapping.
    private mutating func count(_ key: Key, at now: Duration) {
        let (threshold, window) = (limits.threshold, limits.quietTime)
        let known = histories[key] ?? firstChanges[key].map(History.init)
        guard var history = known, now - history.last < window || pauses[key] != nil else {
            histories[key] = nil
            firstChanges[key] = now
            if nextCleanUp == nil { scheduleCleanUp(now + window) }
            return
        }
        firstChanges[key] = nil
        // Frees the memory that an outage took.
        if firstChanges.isEmpty { firstChanges = [:] }
        if history.total > 1 { history.between.append(history.last) }
        history.between.removeAll { now - $0 >= window }
        if history.between.count > threshold { history.between.removeFirst(history.between.count - threshold) }
        history.last = now
        if history.total < .max { history.total += 1 }
        histories[key] = history
        let earlier = history.between.count + (now - history.first < window ? 1 : 0)
        guard earlier >= threshold, pauses[key] == nil else { return }
        pauses[key] = Pause(reported: now, endOfFlapping: endsOfFlapping.insert(key, due: now + window))
    }

    private mutating func scheduleCleanUp(_ due: Duration) {
        nextCleanUp = due
        cleanUps += 1
    }

    /// Forgets the keys that have been quiet. O(n), several times in the quiet time at most.
    private mutating func cleanUp(at now: Duration) {
        let window = limits.quietTime
        firstChanges = firstChanges.filter { now - $0.value < window }
        histories = histories.filter { now - $0.value.last < window || pauses[$0.key] != nil }
        nextCleanUp = nil
        if !firstChanges.isEmpty || !histories.isEmpty { scheduleCleanUp(now + window / 4) }
    }

    /// Ends what is over: pauses, flapping, and the memory of changes.
    package mutating func release(at now: Duration) -> Release {
        var release = Release()
        while let item = endsOfPauses.removeFirst(dueBy: now) {
            guard var pause = pauses[item.element], pause.end == item.ticket else { continue }
            pause.end = nil
            if let state = pause.state {
                release.states.append((item.element, state))
                pause.state = nil
                pause.reported = now
            }
            pauses[item.element] = pause
        }
        while let item = endsOfFlapping.removeFirst(dueBy: now) {
            guard var pause = pauses[item.element], pause.endOfFlapping == item.ticket else { continue }
            let end = (histories[item.element]?.last ?? now) + limits.quietTime
            if end > now {
                pause.endOfFlapping = endsOfFlapping.insert(item.element, due: end)
                pauses[item.element] = pause
            } else {
                remove(item.element)
                if let state = pause.state { release.states.append((item.element, state)) }
                release.ended.append(item.element)
            }
        }
        if let nextCleanUp, nextCleanUp <= now { cleanUp(at: now) }
        return release
    }

    package mutating func remove(_ key: Key) {
        firstChanges[key] = nil
        histories[key] = nil
        pauses[key] = nil
        if firstChanges.isEmpty, histories.isEmpty { nextCleanUp = nil }
    }
}

extension Reportable {
    /// The fingerprint; nil for a clear state.
    package var unclearFingerprint: Fingerprint? { isClear ? nil : fingerprint }
}
