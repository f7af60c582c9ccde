// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthCore

/// How long a change must have held before it is reported.
package struct HoldTimes: Sendable, Hashable {
    /// From a reported healthy state to an unhealthy one, or between two sets of conditions.
    package var abnormalAfter: Duration
    /// From a reported unhealthy state to a healthy one.
    package var recoverAfter: Duration

    package init(abnormalAfter: Duration = .zero, recoverAfter: Duration = .zero) {
        self.abnormalAfter = abnormalAfter
        self.recoverAfter = recoverAfter
    }
}

/// Holds changes back until they have lasted for ``HoldTimes``.
///
/// A change has held when a response shows it and an earlier one, at least the hold time before, showed it too, with no
/// response between them that showed the opposite or what is reported. So a volume that only one response shows as
/// unhealthy is not reported, however long the next response takes.
///
/// A change of conditions does not begin a new hold: a volume whose conditions alternate is reported when it has been
/// unhealthy for the hold time, with the latest conditions.
///
/// Pure. Keeps one entry for each key with a change that is held back, and none without hold times.
struct HeldChanges<Key: Hashable & Sendable, State: Reportable>: Sendable {
    private struct Held {
        var state: State
        /// When the first response showed it.
        var since: Duration
    }

    private let times: HoldTimes
    private var held: [Key: Held] = [:]

    init(_ times: HoldTimes) {
        self.times = times
    }

    var isEmpty: Bool { held.isEmpty }

    /// The keys whose changes are held back.
    var keys: some Collection<Key> { held.keys }

    /// The state that is held back; nil when none is.
    subscript(key: Key) -> State? { held[key]?.state }

    /// A response shows this state. Returns whether it may be reported now; otherwise it is held back.
    ///
    /// - Parameters:
    ///   - reported: the fingerprint of the state that was reported, by this process or an earlier one; nil: it is
    ///     clear, or none was reported.
    ///   - isConfirmed: the state has been held already.
    mutating func passes(
        _ state: State,
        for key: Key,
        reported: Fingerprint?,
        isConfirmed: Bool = false,
        at now: Duration
    ) -> Bool {
        let time = state.isClear ? times.recoverAfter : times.abnormalAfter
        guard !isConfirmed, time > .zero, state.unclearFingerprint != reported else {
            remove(key)
            return true
        }
        let earlier = held[key]
        let since = earlier?.state.isClear == state.isClear ? earlier?.since ?? now : now
        if now - since >= time {
            remove(key)
            return true
        }
        held[key] = Held(state: state, since: since)
        return false
    }

    mutating func remove(_ key: Key) {
        if !held.isEmpty { held[key] = nil }
    }
}
