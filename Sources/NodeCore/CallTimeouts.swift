// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthCore

/// The volumes of a driver, and their ids, whose last calls had no response: which are called again, and when.
///
/// The back-off of a volume is that of the schedule; this is the one of its id, for all paths together. Pure: time is
/// passed in.
struct CallTimeouts: Sendable {
    /// The calls for a volume id without a response, since the last response for it.
    private struct Handle: Sendable {
        /// The path of the last one.
        var key: NodeVolumeKey
        /// When the last one ended.
        var end: Duration
        /// 1 as long as all were for one path: other paths of the id may respond.
        var count = 1

        mutating func add(_ key: NodeVolumeKey, at now: Duration) {
            if key != self.key || count > 1 { count += 1 }
            self.key = key
            end = now
        }
    }

    private let backoff: Backoff
    private var handles: [String: Handle] = [:]
    /// Volumes whose last call had no response, with their ids.
    private var hung: [NodeVolumeKey: String] = [:]
    /// Volumes that wait because other paths of their id had no response, with their ids.
    private var delayed: [NodeVolumeKey: String] = [:]

    init(backoff: Backoff) {
        self.backoff = backoff
    }

    /// Whether the last call for the volume had no response.
    func contains(_ key: NodeVolumeKey) -> Bool { hung[key] != nil }

    /// For how many volumes the last call had no response.
    var count: Int { hung.count }

    /// Until when a volume that is due waits because of other paths of its id; nil: it does not. The caller postpones
    /// it until then.
    mutating func delay(_ key: NodeVolumeKey, of volumeHandle: String, at now: Duration) -> Duration? {
        delayed[key] = nil
        guard let handle = handles[volumeHandle], handle.key != key || handle.count > 1 else { return nil }
        let end = handle.end + backoff.delay(afterFailures: handle.count)
        guard now < end else { return nil }
        delayed[key] = volumeHandle
        return end
    }

    /// A call had no response.
    ///
    /// - Parameter isRemoved: whether the volume was removed during the call.
    mutating func timedOut(_ key: NodeVolumeKey, of volumeHandle: String, isRemoved: Bool, at now: Duration) {
        // Ids without a call for so long are those of pods that are gone.
        handles = handles.filter { now < $0.value.end + backoff.maximum * 2 }
        handles[volumeHandle, default: Handle(key: key, end: now)].add(key, at: now)
        if !isRemoved { hung[key] = volumeHandle }
    }

    /// The driver responded to a call.
    ///
    /// - Returns: the other paths of the id whose back-off ends: those that wait for this response, and if the path
    ///   that responded had no response before, all that had none. Otherwise these keep their own back-off, because a
    ///   path may hang alone.
    mutating func responded(_ key: NodeVolumeKey, of volumeHandle: String) -> [NodeVolumeKey] {
        var ended: [NodeVolumeKey] = []
        if handles.removeValue(forKey: volumeHandle) != nil {
            ended = delayed.filter { $0.value == volumeHandle }.map(\.key)
            for key in ended { delayed[key] = nil }
        }
        if hung.removeValue(forKey: key) != nil {
            ended += hung.filter { $0.value == volumeHandle }.map(\.key)
        }
        return Self.sorted(ended)
    }

    /// The driver has restarted: its calls that hung have ended.
    ///
    /// - Returns: the volumes whose last call had no response, and others that wait for them.
    mutating func restarted() -> (hung: [NodeVolumeKey], delayed: [NodeVolumeKey]) {
        defer { (handles, delayed) = ([:], [:]) }
        return (Self.sorted(hung.keys), Self.sorted(delayed.keys.filter { hung[$0] == nil }))
    }

    mutating func remove(_ key: NodeVolumeKey) {
        hung[key] = nil
        delayed[key] = nil
    }

    /// In an order of their own, so that the same seed has the same effect in every process.
    private static func sorted(_ keys: some Sequence<NodeVolumeKey>) -> [NodeVolumeKey] {
        keys.sorted { ($0.podUID, $0.volume) < ($1.podUID, $1.volume) }
    }
}
