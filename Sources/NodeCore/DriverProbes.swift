// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthCore

/// The calls to one driver: which volume is probed next, and how calls without a response are limited.
///
/// A call that hangs blocks a thread of the driver for good, so the number of such threads is what matters:
///
/// | Situation | Limit |
/// |---|---|
/// | always | one call per volume id; ``NodeHealthState/Configuration/workerThreads`` calls in all |
/// | a volume had no response | next call after its interval, then 2, 4, … intervals, at most ``maximumBackoff`` |
/// | another path of its volume id had no response | next call an interval after that |
/// | several paths of its volume id had no response | next call for the id 2, 4, … intervals after the last, as above |
/// | volumes without a response, up to the limit of calls | calls for them take at most half of it |
/// | more volumes without a response | one call for them at a time |
/// | Identity calls without a response, or calls for three volumes and for no other meanwhile | the driver hangs: one call per interval |
///
/// Any response for a volume ends its back-off, that of its id, and the hanging of the driver. If the volume had no
/// response before, its id has recovered: the other paths of the id are probed in their next slots. The response of a
/// storage probe ends only a hanging that Identity calls have shown. Pure: time and randomness are passed in.
struct DriverProbes: Sendable {
    private struct Call: Sendable {
        var volumeHandle: String
        /// The last call for this volume had no response.
        var isTrial: Bool
        var began: Duration
    }

    private enum HangingCalls: Sendable {
        case identity
        case volumes
    }

    /// The longest time from one call to the next for a volume without a response.
    static let maximumBackoff = Duration.seconds(30 * 60)
    /// Between calls that are spread evenly, the process would spend more on waking up than on the calls
    /// (docs/benchmarks.md).
    private static let batches = 12
    /// After calls for this number of different volumes without any response the driver counts as hanging.
    static let hangingAfter = 3

    private let interval: Duration
    private let workerThreads: Int

    /// nil: never read.
    private(set) var capabilities: NodeCapabilities?
    /// Discovered or configured: other drivers are not shown.
    var isRegistered = false
    /// The number of the present or last connection.
    private(set) var connection = 0
    private(set) var isConnected = false
    /// The driver does not implement what its capabilities promise.
    var needsCapabilities = false
    /// A volume had a response other than UNIMPLEMENTED on this connection, so the driver implements the RPC.
    private(set) var hasResponded = false
    /// Which calls had no response; nil: the driver does not hang.
    private var hanging: HangingCalls?
    /// While the driver hangs: when the next call may begin.
    private var nextTrial = Duration.zero

    private(set) var schedule: ProbeSchedule<NodeVolumeKey>
    private var calls: [NodeVolumeKey: Call] = [:]
    /// Due volumes that wait until a call ends, with the time since which they are due.
    private var waiting: [(key: NodeVolumeKey, due: Duration)] = []
    /// A call has ended since volumes began to wait.
    private var isWaitOver = false
    private var timeouts: CallTimeouts
    /// Volumes whose last call had no response, and during which the driver did not respond for any other volume.
    private var silent: Set<NodeVolumeKey> = []
    /// When the driver last responded for a volume.
    private var lastResponse: Duration?

    /// How many volumes of pods it has, those that are not probed yet included.
    var volumes = 0
    var paths = PathEvidence()
    var storage = StorageProbes()

    init(configuration: NodeHealthState.Configuration) {
        interval = configuration.interval
        workerThreads = configuration.workerThreads
        timeouts = CallTimeouts(backoff: Backoff(initial: interval, maximum: max(interval, Self.maximumBackoff)))
        // Without volumes at first: no randomness is used.
        var unused = SeededRandom(seed: 0)
        schedule = ProbeSchedule(
            interval: configuration.interval,
            maximumSkip: max(1, Int(Self.maximumBackoff / configuration.interval)),
            batches: Self.batches,
            [],
            at: .zero,
            using: &unused
        )
    }

    var isHanging: Bool { hanging != nil }

    /// Whether the last call for the volume had no response.
    func isBackingOff(_ key: NodeVolumeKey) -> Bool { timeouts.contains(key) }

    /// Whether this value can be removed. The health of unhealthy storage is kept, in case the driver returns.
    var isUnused: Bool {
        !isRegistered && !isConnected && volumes == 0 && calls.isEmpty && !storage.isUnderWay
            && !storage.wasUnhealthy
    }

    /// Whether the driver reports the health of volumes; nil until its capabilities are known.
    var isSupported: Bool? { capabilities.map { $0.strategy != .none } }

    /// A connection is open. Volumes without a response are probed within an interval, unless the driver has not
    /// restarted: calls that hung end with its process.
    ///
    /// - Parameter number: greater than that of every earlier connection.
    mutating func connect(
        _ capabilities: NodeCapabilities,
        number: Int,
        isSameProcess: Bool,
        at now: Duration,
        using random: inout SeededRandom
    ) {
        isRegistered = true
        isConnected = true
        connection = number
        hasResponded = false
        read(capabilities)
        if isSameProcess { return }
        let (hung, delayed) = timeouts.restarted()
        for key in hung where calls[key] == nil {
            schedule.remove(key)
            schedule.add(key, at: now + interval * Double.random(in: 0..<1, using: &random))
        }
        for key in delayed { schedule.endBackoff(of: key, at: now) }
    }

    mutating func read(_ capabilities: NodeCapabilities) {
        if self.capabilities?.strategy != capabilities.strategy { hasResponded = false }
        if self.capabilities != capabilities { storage.isSuspended = false }
        self.capabilities = capabilities
        needsCapabilities = false
    }

    mutating func disconnect() {
        isConnected = false
        stopHanging()
    }

    /// Calls to its Identity service have no response.
    ///
    /// - Returns: whether it has not been hanging before.
    mutating func hang(at now: Duration) -> Bool {
        hang(.identity, at: now)
    }

    private mutating func hang(_ calls: HangingCalls, at now: Duration) -> Bool {
        guard isConnected else { return false }
        guard !isHanging else {
            // A response without a volume is not enough any more.
            if calls == .volumes { hanging = .volumes }
            return false
        }
        hanging = calls
        nextTrial = now + interval
        return true
    }

    /// The driver responded to a call for a volume, other than UNIMPLEMENTED.
    mutating func implementsProbes() { hasResponded = true }

    mutating func add(_ key: NodeVolumeKey, at slot: Duration) { schedule.add(key, at: slot) }

    mutating func remove(_ key: NodeVolumeKey) {
        schedule.remove(key)
        timeouts.remove(key)
        silent.remove(key)
    }

    /// The next volume to probe. It counts as being probed until ``finish(_:_:isUnhealthy:at:)``.
    mutating func next(at now: Duration, handle: (NodeVolumeKey) -> String?) -> NextStep<NodeVolumeKey> {
        guard isConnected, !needsCapabilities, isSupported == true else { return .wait(until: nil) }
        guard calls.count < (isHanging ? 1 : workerThreads) else { return .wait(until: nil) }
        if isHanging, now < nextTrial { return .wait(until: nextTrial) }
        if isWaitOver {
            for (key, due) in waiting { schedule.postpone(key, until: due) }
            waiting = []
            isWaitOver = false
        }
        while true {
            let step = schedule.next(at: now)
            guard case .run(let key) = step else { return step }
            guard let handle = handle(key) else {
                schedule.didNotBegin(key)
                schedule.remove(key)
                continue
            }
            if let end = timeouts.delay(key, of: handle, at: now) {
                schedule.didNotBegin(key)
                schedule.postpone(key, until: end)
                continue
            }
            let isTrial = isBackingOff(key)
            if calls.values.contains(where: { $0.volumeHandle == handle }) || isTrial && !hasRoomForTrial {
                waiting.append((key, schedule.didNotBegin(key) ?? now))
                continue
            }
            calls[key] = Call(volumeHandle: handle, isTrial: isTrial, began: now)
            if isHanging { nextTrial = now + interval }
            return step
        }
    }

    private var hasRoomForTrial: Bool {
        let limit = timeouts.count > workerThreads ? 1 : max(1, workerThreads / 2)
        return calls.values.count { $0.isTrial } < limit
    }

    /// How a call ended, for the schedule.
    enum End: Sendable {
        case responded
        /// It responded, and a second call must confirm the response.
        case unconfirmed
        /// It responded that another call for the volume is under way: repeat after this moment.
        case again(at: Duration)
        case timedOut
        /// The connection broke, which says nothing of the volume.
        case interrupted
    }

    /// A call ended.
    ///
    /// - Parameter isUnhealthy: whether the volume is known to be unhealthy.
    /// - Returns: whether the driver has started or stopped hanging.
    mutating func finish(
        _ key: NodeVolumeKey,
        _ end: End,
        isUnhealthy: Bool,
        at now: Duration
    ) -> NodeDriverChange? {
        guard let call = calls.removeValue(forKey: key) else { return nil }
        isWaitOver = true
        switch end {
        case .timedOut:
            schedule.finish(key, .failed, isUnhealthy: isUnhealthy, at: now)
            // The volume may have been removed meanwhile.
            let isRemoved = !schedule.contains(key)
            timeouts.timedOut(key, of: call.volumeHandle, isRemoved: isRemoved, at: now)
            if isRemoved { return nil }
            if let lastResponse, lastResponse >= call.began { return nil }
            silent.insert(key)
            return silent.count >= Self.hangingAfter && hang(.volumes, at: now) ? .startedHanging : nil
        case .interrupted:
            schedule.finish(key, .interrupted, isUnhealthy: isUnhealthy, at: now)
            return nil
        case .responded: schedule.finish(key, .responded, isUnhealthy: isUnhealthy, at: now)
        case .unconfirmed: schedule.finish(key, .unconfirmed, isUnhealthy: isUnhealthy, at: now)
        case .again(let due): schedule.postpone(key, until: due)
        }
        for other in timeouts.responded(key, of: call.volumeHandle) { schedule.endBackoff(of: other, at: now) }
        lastResponse = now
        return responded() ? .stoppedHanging : nil
    }

    /// The driver responded to a call for a volume.
    ///
    /// - Returns: whether it was hanging.
    private mutating func responded() -> Bool {
        defer { stopHanging() }
        return isHanging
    }

    /// The driver responded to a call that touches no mount: its calls for volumes may still hang.
    ///
    /// - Returns: whether it was hanging, and is not any more.
    mutating func respondedWithoutVolume() -> Bool {
        guard hanging == .identity else { return false }
        hanging = nil
        return true
    }

    private mutating func stopHanging() {
        hanging = nil
        silent = []
    }

    mutating func completedRound(at now: Duration) -> ProbeRound? { schedule.completedRound(at: now) }
}
