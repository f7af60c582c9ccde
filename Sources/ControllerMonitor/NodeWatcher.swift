// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import ControllerCore
import HealthCore
import HealthRuntime
import KubernetesAPI
import KubernetesClient
import Logging
import Synchronization

/// Reports the failure of a node on the claims that pods on it use, and the node's recovery.
///
/// It watches nodes and pods; while all nodes are Ready it makes no other request.
///
/// RBAC: `list` and `watch` on `nodes` and `pods`; on `events` as ``HealthMonitor`` needs them.
struct NodeWatcher: Sendable {
    let context: MonitorContext
    let reporter: Reporter
    private let duration: Duration
    private let nodes: SharedNodeFailures

    /// - Parameter duration: how long a node must have been not Ready to count as failed.
    init(context: MonitorContext, reporter: Reporter, duration: Duration) {
        self.context = context
        self.reporter = reporter
        self.duration = duration
        nodes = SharedNodeFailures(NodeFailures(notReadyDuration: duration))
    }

    /// The events that have failed and wait, and how many wait in all.
    var reports: (failing: FailingReports?, waiting: Int) {
        nodes.withLock { ($0.failingReports, $0.waitingReports) }
    }

    /// Reports until cancelled. The cache of claims must be up to date when this begins.
    ///
    /// - Throws: only `CancellationError`.
    func run() async throws {
        // Another replica may report before this one does again.
        defer { nodes.update { $0 = NodeFailures(notReadyDuration: duration) } }
        try await runAll([
            { try await watchNodes() },
            { try await watchPods() },
            {
                // Rule 9: reads back what was reported before anything is reported.
                let isRestored = try await restore()
                try await runAll([
                    { isRestored ? try await suspendUntilCancelled() : try await restoreLater() },
                    { try await report() },
                ])
            },
        ])
    }

    /// Keeps only the name and the Ready condition of a node.
    private func watchNodes() async throws {
        let lifetime = context.configuration.watchLifetime
        let watcher = Watcher<Node>(client: context.kubernetes, lifetime: lifetime, logger: context.logger)
        for try await event in watcher {
            let received = context.now
            nodes.update { failures in
                switch event {
                case .restarted: failures.beginNodeRelist()
                case .listed(let nodes):
                    for node in nodes { failures.apply(MonitoredNode(listed: node, at: received), at: received) }
                case .synced: failures.endNodeRelist(at: received)
                case .applied(let node): failures.apply(MonitoredNode(changed: node, at: received), at: received)
                case .deleted(let node): failures.removeNode(named: node.metadata.name, at: received)
                }
            }
        }
    }

    /// Keeps only the name, the node and the claims of a pod, and no pod without claims. Pods that are not scheduled or
    /// have terminated are not selected; the watch shows a pod that terminates as deleted.
    private func watchPods() async throws {
        let onNodes = Selection(fieldSelector: "spec.nodeName!=,status.phase!=Succeeded,status.phase!=Failed")
        let watcher = Watcher<Pod>(
            client: context.kubernetes,
            selection: onNodes,
            lifetime: context.configuration.watchLifetime,
            logger: context.logger
        )
        for try await event in watcher {
            let received = context.now
            nodes.update { failures in
                switch event {
                case .restarted: failures.beginPodRelist()
                case .listed(let pods):
                    for pod in pods { failures.apply(MonitoredPod(pod), at: received) }
                case .applied(let pod): failures.apply(MonitoredPod(pod), at: received)
                case .synced: failures.endPodRelist(at: received)
                case .deleted(let pod): failures.removePod(MonitoredPod(pod).key, at: received)
                }
            }
        }
    }

    private func report() async throws {
        try await reporter.dispatcher.run(.nodeFailure, wakeUp: nodes.changed) { now in
            nodes.withLock { failures in
                failures.next(at: now) { key in context.state.withLock { $0.claim(at: key) } }
            }
        } complete: { report, outcome, now in
            nodes.withLock { $0.complete(report, outcome, at: now) }
        } send: { report in
            try await reporter.record(
                event(report),
                on: report.claim,
                isKnown: report.cause == .refresh,
                knownCount: report.count
            ) { count in
                let recordedAt = context.now
                nodes.withLock { $0.recorded(report, count: count, at: recordedAt) }
            }
        }
    }

    private func event(_ report: PendingReport<NodeFailureKey, NodeFailureState, Claim>) -> EventRecord {
        let state = report.state
        return reporter.events.event(
            report,
            type: state.isClear ? .normal : .warning,
            reason: state.isClear ? EventVocabulary.nodeRecoveredReason : EventVocabulary.nodeFailedReason,
            message: state.isClear
                ? EventVocabulary.nodeRecoveredMessage(node: state.node)
                : EventVocabulary.nodeFailedMessage(state, claim: report.claim.key)
        )
    }
}

// MARK: Rule 9

extension NodeWatcher {
    /// Reads back what earlier processes reported, within ``HealthRuntime/ReadBackLimits``.
    ///
    /// - Returns: whether it succeeded.
    /// - Throws: only `CancellationError`.
    private func restore() async throws -> Bool {
        guard let recorded = try await reporter.history.withinLimits({ try await readBack() }) else {
            context.logger.error(
                "Failed to read back events about nodes, continuing without: recoveries are reported when it succeeds"
            )
            return false
        }
        restore(recorded)
        return true
    }

    /// Retries after ``restore()`` gave up, until it succeeds; then waits for the cancellation.
    ///
    /// - Throws: only `CancellationError`.
    private func restoreLater() async throws {
        restore(try await reporter.history.later { try await readBack() })
        try await suspendUntilCancelled()
    }

    private func readBack() async throws -> RecordedNodeFailures {
        try await reporter.history.read(
            kind: PersistentVolumeClaim.resource.kind,
            component: reporter.events.component,
            reasons: [EventVocabulary.nodeFailedReason, EventVocabulary.nodeRecoveredReason],
            into: RecordedNodeFailures()
        ) { $0.add($1, isCached: reporter.isCached(claimOf: $1)) }
    }

    private func restore(_ recorded: RecordedNodeFailures) {
        let wall = Time.now().seconds
        let restored = context.now
        for (node, identity, time) in recorded.failures {
            guard let claim = context.state.withLock({ $0.claim(at: identity.key) }), claim.uid == identity.uid else {
                continue
            }
            let age = Duration.age(of: time, now: wall)
            nodes.update { $0.restore(reportedFailureOf: node, to: claim, reportedAt: restored - age) }
        }
    }
}

/// The ``ControllerCore/NodeFailures`` behind a lock.
///
/// Lock order: this lock, then that of ``SharedHealthState``.
private final class SharedNodeFailures: Sendable {
    private let failures: Mutex<NodeFailures>
    /// There may be an event to record.
    let changed = WakeUp()

    init(_ failures: sending NodeFailures) {
        self.failures = Mutex(failures)
    }

    func withLock<R: Sendable>(_ body: (inout sending NodeFailures) -> sending R) -> R {
        failures.withLock(body)
    }

    /// Changes the failures, and signals that an event may be due.
    func update(_ body: (inout sending NodeFailures) -> sending Void) {
        defer { changed.signal() }
        failures.withLock(body)
    }
}
