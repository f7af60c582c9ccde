// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import KubernetesAPI
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
        /// A watch has failed, and is retried. What is part of normal operation is left out, and a kind of failure is
        /// not repeated until the watch has recovered.
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
        let watch = WatchFailures.Watch(resource: O.resource.plural, fields: fields)
        let watcher = Watcher<O>(
            client: client,
            selection: Selection(namespace: namespace, fieldSelector: fields, labelSelector: labels),
            logger: logger,
            observer: { state.add($0, of: watch) },
            opened: { state.recovered(watch) }
        )
        for try await event in watcher { state.apply(change(event), of: watch) }
    }
}

/// The state that the watches change and the consumer of updates takes.
private final class WatchState: Sendable {
    private struct State {
        var watched: WatchedSnapshot
        var hasChanged = false
        /// To be passed on.
        var newFailures: [KubernetesError] = []
        var failures = WatchFailures()
    }

    private let state: Mutex<State>
    private let signal: @Sendable () -> Void

    init(_ snapshot: ClusterSnapshot, signal: @escaping @Sendable () -> Void) {
        state = Mutex(State(watched: WatchedSnapshot(snapshot)))
        self.signal = signal
    }

    func apply(_ change: WatchedSnapshot.Change, of watch: WatchFailures.Watch) {
        let hasChanged = state.withLock { state in
            guard state.watched.apply(change) else { return false }
            state.hasChanged = true
            state.failures.recovered(watch)
            return true
        }
        if hasChanged { signal() }
    }

    /// The watch is open again.
    func recovered(_ watch: WatchFailures.Watch) {
        state.withLock { $0.failures.recovered(watch) }
    }

    func add(_ failure: KubernetesError, of watch: WatchFailures.Watch) {
        let isNew = state.withLock { state in
            guard state.failures.add(failure, of: watch) else { return false }
            state.newFailures.append(failure)
            return true
        }
        if isNew { signal() }
    }

    /// What has happened since the last call; the snapshot is nil if nothing has changed.
    func take() -> (changed: ClusterSnapshot?, failures: [KubernetesError]) {
        state.withLock { state in
            defer { (state.hasChanged, state.newFailures) = (false, []) }
            return (state.hasChanged ? state.watched.snapshot : nil, state.newFailures)
        }
    }
}

/// Which failures of the watches are worth a warning. Pure.
struct WatchFailures: Sendable {
    struct Watch: Sendable, Hashable {
        /// The plural.
        var resource: String
        /// The field selector.
        var fields: String?
    }

    /// With these codes the API server rejects a streaming list that it does not support
    /// (`WatchStateMachine.isRejectedStreamingList`).
    private static let rejections: Set<KubernetesError.Code> = [.badRequest, .invalid, .serverError]

    /// The kinds of failures of each watch since it last worked.
    private var kinds: [Watch: Set<String>] = [:]
    /// The watches whose streaming list may have been rejected since they last worked.
    private var rejected: Set<Watch> = []

    /// A watch has failed.
    ///
    /// - Returns: whether a warning is due: for the first failure of a kind since the watch last worked, unless another
    ///   watch of the resource fails in the same way.
    mutating func add(_ failure: KubernetesError, of watch: Watch) -> Bool {
        // The watcher lists again.
        guard failure.code != .expired else { return false }
        // After a rejected streaming list, the watcher lists in pages at once. If it was another failure, or this list
        // fails too, the next failure is worth a warning.
        if Self.rejections.contains(failure.code), rejected.insert(watch).inserted { return false }
        let isKnown = kinds.contains { $0.key.resource == watch.resource && $0.value.contains(failure.kind) }
        kinds[watch, default: []].insert(failure.kind)
        return !isKnown
    }

    /// A watch is open again, or its list is complete, or it has delivered a change.
    mutating func recovered(_ watch: Watch) {
        kinds[watch] = nil
        rejected.remove(watch)
    }
}
