// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthRuntime
import KubernetesAPI
import KubernetesClient
import NodeCore
import Synchronization

/// Watches the pods of the node, and applies them to the ``NodeCore/NodeHealthState``.
///
/// One watch, for which the API server has an index by `spec.nodeName`: it costs as much as the kubelet's. A pod that
/// ends no longer matches, and arrives as deleted.
///
/// RBAC: `list` and `watch` on `pods`. RBAC knows no field selectors, so the rule is for the pods of all nodes.
final class PodWatcher: Sendable {
    /// What was observed of the watch.
    struct Activity: Sendable {
        /// When the last event, bookmark or reopening arrived; nil before the first list is complete.
        var lastReceived: Duration?
        /// Since when the watch fails, and its last error.
        var failure: (since: Duration, reason: String)?
    }

    private let context: NodeContext
    private let seen = Mutex(Activity())

    init(_ context: NodeContext) {
        self.context = context
    }

    var activity: Activity { seen.withLock { $0 } }

    /// Watches until cancelled. Lists again when ``NodeMonitorConfiguration/bootWindow`` ends.
    ///
    /// - Throws: only `CancellationError`.
    func run() async throws {
        if let boot = context.configuration.bootTime {
            let uptime = Duration.age(of: boot, now: Time.now().seconds)
            let end = context.now + NodeMonitorConfiguration.bootWindow - uptime
            if context.now < end {
                await withTaskGroup { group in
                    group.addTask { try? await self.watch(sinceBoot: boot) }
                    group.addTask { [context] in try? await context.time.sleep(until: end) }
                    await group.next()
                    group.cancelAll()
                }
                try Task.checkCancellation()
            }
        }
        try await watch(sinceBoot: nil)
    }

    private func watch(sinceBoot boot: Int64?) async throws {
        let node = context.configuration.nodeName
        let watcher = Watcher<WatchedPod>(
            client: context.kubernetes,
            selection: Selection(
                fieldSelector: "spec.nodeName=\(node),status.phase!=Succeeded,status.phase!=Failed"
            ),
            logger: context.logger,
            observer: { self.didFail($0) },
            opened: { self.didOpen() },
            received: { self.didReceive() }
        )
        for try await event in watcher {
            let received = context.now
            context.state.update { state in
                switch event {
                case .restarted: state.beginRelist()
                case .listed(let pods):
                    for pod in pods { state.apply(NodePod(pod, sinceBoot: boot), at: received) }
                case .applied(let pod): state.apply(NodePod(pod, sinceBoot: boot), at: received)
                case .synced: state.endRelist(at: received)
                case .deleted(let pod): state.remove(podUID: pod.pod.metadata.uid)
                }
            }
            if case .synced = event { didOpen() }
        }
    }

    private func didFail(_ error: KubernetesError) {
        let now = context.now
        seen.withLock { $0.failure = (since: $0.failure?.since ?? now, reason: "\(error)") }
        context.state.update { $0.podWatchFailed(at: now) }
    }

    private func didOpen() {
        let now = context.now
        seen.withLock { $0 = Activity(lastReceived: now) }
        context.state.update { $0.podWatchOpened(at: now) }
    }

    private func didReceive() {
        let now = context.now
        seen.withLock { $0.lastReceived = now }
    }
}
