// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthCore

/// Volumes that have just turned unhealthy and wait before that is reported.
///
/// The kubelet unmounts the volumes of a pod that ends by itself before the API server has the pod's end: by up to two
/// seconds on a kubelet 1.36, and by up to nine on a loaded node. Until then the agent cannot know that the pod's
/// volumes are meant to be gone.
///
/// Pure: time is passed in.
struct NewConditions: Sendable {
    private let delay: Duration
    private var waiting: [NodeVolumeKey: (state: VolumeState, ticket: DueQueue<NodeVolumeKey>.Ticket)] = [:]
    private var due = DueQueue<NodeVolumeKey>()

    /// - Parameter delay: how long each waits; zero: none waits.
    init(delay: Duration) {
        self.delay = delay
    }

    /// How often a call of ``release(at:)`` was scheduled.
    var plans: UInt64 { due.insertions }

    /// When ``release(at:)`` has something to do next; nil: nothing waits.
    var firstDue: Duration? { waiting.isEmpty ? nil : due.first?.due }

    /// The volumes that wait.
    var keys: some Collection<NodeVolumeKey> { waiting.keys }

    /// Whether the volume waits.
    func contains(_ key: NodeVolumeKey) -> Bool { waiting[key] != nil }

    /// The volume's state is this one now. Returns whether it may be reported now; otherwise it waits, and a healthy
    /// state ends that.
    ///
    /// - Parameter isReported: whether the volume was reported as unhealthy, or is about to be.
    mutating func passes(_ state: VolumeState, of key: NodeVolumeKey, isReported: Bool, at now: Duration) -> Bool {
        guard delay > .zero, !state.isClear, !isReported else {
            remove(key)
            return true
        }
        let ticket = waiting[key]?.ticket ?? due.insert(key, due: now + delay)
        waiting[key] = (state, ticket)
        return false
    }

    /// Returns those that have waited for long enough, with their latest state.
    mutating func release(at now: Duration) -> [(NodeVolumeKey, VolumeState)] {
        var released: [(NodeVolumeKey, VolumeState)] = []
        while let item = due.removeFirst(dueBy: now) {
            guard let (state, ticket) = waiting[item.element], ticket == item.ticket else { continue }
            waiting[item.element] = nil
            released.append((item.element, state))
        }
        return released
    }

    mutating func remove(_ key: NodeVolumeKey) {
        if !waiting.isEmpty { waiting[key] = nil }
    }
}
