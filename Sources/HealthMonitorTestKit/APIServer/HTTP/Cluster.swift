// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Synchronization

/// The registry and the open watches: a change is stored and the watches are notified under one lock.
final class Cluster: Sendable {
    private struct State {
        var registry: Registry
        var watches: [Int: WatchHandle] = [:]
        var nextWatch = 0
        var sendsBookmarks = true
        var version = "v1.37.0"
    }

    private let state: Mutex<State>
    /// The time that objects are stamped with.
    let now: @Sendable () -> Timestamp

    init(now: @escaping @Sendable () -> Timestamp) throws(StatusError) {
        self.now = now
        state = Mutex(State(registry: try Registry(now: now())))
    }

    /// Reads or changes the registry, and notifies the watches of changes.
    func access<Result: Sendable>(
        _ body: (inout Registry, Timestamp) throws(StatusError) -> Result
    ) throws(StatusError) -> Result {
        let time = now()
        return try state.withLock { state throws(StatusError) in
            let before = state.registry.store.revision
            let result = try body(&state.registry, time)
            if state.registry.store.revision != before {
                for watch in state.watches.values { watch.reportChanges() }
            }
            return result
        }
    }

    var featureGates: Set<FeatureGate> {
        get { state.withLock { $0.registry.featureGates } }
        set { state.withLock { $0.registry.featureGates = newValue } }
    }

    /// `gitVersion` of `/version`.
    var version: String {
        get { state.withLock { $0.version } }
        set { state.withLock { $0.version = newValue } }
    }

    var sendsBookmarks: Bool {
        get { state.withLock { $0.sendsBookmarks } }
        set { state.withLock { $0.sendsBookmarks = newValue } }
    }

    /// All objects at this moment.
    var registry: Registry { state.withLock { $0.registry } }

    /// Replaces all objects and the resource version; every watch is cut.
    func restore(_ registry: Registry) {
        let watches = state.withLock { state in
            state.registry = registry
            return Array(state.watches.values)
        }
        for watch in watches { watch.cut() }
    }

    func compact() {
        state.withLock { $0.registry.compact() }
    }

    /// The open watches, the oldest first.
    var watches: [WatchHandle] {
        state.withLock { state in state.watches.sorted { $0.key < $1.key }.map(\.value) }
    }

    func open(_ watch: WatchHandle) -> Int {
        state.withLock { state in
            state.nextWatch += 1
            state.watches[state.nextWatch] = watch
            return state.nextWatch
        }
    }

    func close(watch number: Int) {
        state.withLock { _ = $0.watches.removeValue(forKey: number) }
    }
}
