// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

package import KubernetesClient
package import Logging
import Synchronization

/// Watches the objects of a snapshot.
///
/// RBAC: `watch` beside `list`, on what the reader may list. Leases are not watched.
package struct StatusWatch: Sendable {
    package enum Update: Sendable {
        /// Some objects have changed since the last update.
        case changed(ClusterSnapshot)
        /// A watch has failed, and is retried. The same failure is not repeated.
        case failed(KubernetesError)
    }

    private let client: KubernetesClient
    private let reader: StatusReader
    private let snapshot: ClusterSnapshot
    private let logger: Logger

    /// - Parameter snapshot: what the reader has returned. What it could not list is not watched.
    package init(client: KubernetesClient, reader: StatusReader, snapshot: ClusterSnapshot, logger: Logger) {
        self.client = client
        self.reader = reader
        self.snapshot = snapshot
        self.logger = logger
    }

    /// Passes on updates until the task is cancelled, or `update` throws. Changes that arrive while `update` runs come
    /// together in the next update.
    package func run(_ update: (Update) throws -> Void) async throws {
        let (signals, signal) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        let state = WatchState(snapshot) { signal.yield() }
        try await withThrowingTaskGroup(of: Void.self) { group in
            // Also when `update` throws: otherwise the group would wait for watches that never end.
            defer { group.cancelAll() }
            group.addTask {
                try await watch(state, namespace: reader.namespace, labels: reader.selector) { .claims($0) }
            }
            if snapshot.volumes != nil { group.addTask { try await watch(state, namespace: nil) { .volumes($0) } } }
            if snapshot.pods != nil {
                group.addTask { try await watch(state, namespace: reader.namespace) { .pods($0) } }
            }
            for reason in snapshot.events == nil ? [] : HealthEvents.reasons {
                group.addTask {
                    let fields = "reason=\(reason)"
                    try await watch(state, namespace: reader.namespace, fields: fields) { .events($0, reason: reason) }
                }
            }
            for await _ in signals {
                let (changed, failures) = state.take()
                for failure in failures { try update(.failed(failure)) }
                if let changed { try update(.changed(changed)) }
            }
        }
    }

    private func watch<O>(
        _ state: WatchState,
        namespace: String?,
        fields: String? = nil,
        labels: String? = nil,
        _ change: (WatcherEvent<O>) -> WatchedSnapshot.Change
    ) async throws {
        let watcher = Watcher<O>(
            client: client,
            selection: Selection(namespace: namespace, fieldSelector: fields, labelSelector: labels),
            logger: logger,
            observer: { state.add($0) }
        )
        for try await event in watcher { state.apply(change(event)) }
    }
}

/// The state that the watches change and the consumer of updates takes.
private final class WatchState: Sendable {
    private struct State {
        var watched: WatchedSnapshot
        var hasChanged = false
        var failures: [KubernetesError] = []
        var lastFailure: String?
    }

    private let state: Mutex<State>
    private let signal: @Sendable () -> Void

    init(_ snapshot: ClusterSnapshot, signal: @escaping @Sendable () -> Void) {
        state = Mutex(State(watched: WatchedSnapshot(snapshot)))
        self.signal = signal
    }

    func apply(_ change: WatchedSnapshot.Change) {
        let hasChanged = state.withLock { state in
            guard state.watched.apply(change) else { return false }
            state.hasChanged = true
            return true
        }
        if hasChanged { signal() }
    }

    func add(_ failure: KubernetesError) {
        let isNew = state.withLock { state in
            guard state.lastFailure != failure.message else { return false }
            state.lastFailure = failure.message
            state.failures.append(failure)
            return true
        }
        if isNew { signal() }
    }

    /// What has happened since the last call; the snapshot is nil if nothing has changed.
    func take() -> (changed: ClusterSnapshot?, failures: [KubernetesError]) {
        state.withLock { state in
            defer { (state.hasChanged, state.failures) = (false, []) }
            return (state.hasChanged ? state.watched.snapshot : nil, state.failures)
        }
    }
}
