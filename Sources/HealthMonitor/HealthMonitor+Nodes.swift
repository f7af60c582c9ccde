// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

package import KubernetesAPI
import KubernetesClient
import Logging
import Synchronization
package import VolumeHealth

extension HealthMonitor {
    /// Reports claims of failed nodes where that is asked for; otherwise waits, for ever.
    func watchNodes(claimsOf state: MonitorState) async throws {
        if let duration = configuration.nodeFailureDuration {
            try await reportNodeFailures(after: duration, claimsOf: state)
        } else {
            await WakeUp().wait()
            try Task.checkCancellation()
        }
    }

    /// Reports claims of nodes that failed with pods that use them, and of their recovery, for ever.
    ///
    /// Nodes and pods are watched for that; when nothing changes, it costs no other request. The claims must be known
    /// when this begins.
    ///
    /// RBAC: `list` and `watch` on `nodes` and `pods`; on `events` as ``HealthMonitor`` has them.
    ///
    /// - Parameter duration: how long a node must not be Ready to count as failed.
    func reportNodeFailures(after duration: Duration, claimsOf state: MonitorState) async throws {
        let nodes = NodeState(NodeFailures(notReadyDuration: duration))
        try await withThrowingDiscardingTaskGroup { group in
            group.addTask { try await watchNodes(into: nodes) }
            group.addTask { try await watchPods(into: nodes) }
            group.addTask {
                // Rule 9: what was reported is known before anything is reported.
                try await restore(into: nodes, claimsOf: state)
                try await reportNodeFailures(from: nodes, claimsOf: state)
            }
        }
    }

    /// Of a node only its name and its Ready condition are kept.
    private func watchNodes(into nodes: NodeState) async throws {
        for try await event in Watcher<Node>(client: kubernetes, logger: logger) {
            let received = now
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

    /// Of a pod only its name, its node and its claims are kept, and nothing of one that has no claims. Pods that wait
    /// for a node or have ended are not asked for; one that ends comes as deleted.
    private func watchPods(into nodes: NodeState) async throws {
        let onNodes = Selection(fieldSelector: "spec.nodeName!=,status.phase!=Succeeded,status.phase!=Failed")
        for try await event in Watcher<Pod>(client: kubernetes, selection: onNodes, logger: logger) {
            let received = now
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

    private func reportNodeFailures(from nodes: NodeState, claimsOf state: MonitorState) async throws {
        try await report(.nodeFailure, wakeUp: nodes.changed) { now in
            nodes.withFailures { failures in
                failures.next(at: now) { key in state.withHealthState { $0.claim(at: key) } }
            }
        } complete: { pendingReport, outcome, now in
            nodes.withFailures { $0.complete(pendingReport, outcome, at: now) }
        } report: { pendingReport in
            try await report(event(pendingReport, of: state))
        }
    }

    private func event(
        _ pendingReport: PendingReport<NodeFailureKey, NodeFailureState>,
        of monitor: MonitorState
    ) -> EventRecord {
        let state = pendingReport.state
        return event(
            on: pendingReport.claim,
            type: state.isClear ? .normal : .warning,
            reason: state.isClear ? EventVocabulary.nodeRecoveredReason : EventVocabulary.nodeFailedReason,
            message: state.isClear
                ? EventVocabulary.nodeRecoveredMessage(node: state.node)
                : EventVocabulary.nodeFailedMessage(state, claim: pendingReport.claim.key),
            fingerprint: state.fingerprint,
            attemptID: monitor.name(of: pendingReport)
        )
    }
}

// MARK: Rule 9

extension HealthMonitor {
    /// Reads back what earlier processes reported; after a minute of failures it goes on without.
    private func restore(into nodes: NodeState, claimsOf state: MonitorState) async throws {
        let reasons = [EventVocabulary.nodeFailedReason, EventVocabulary.nodeRecoveredReason]
        let recorded = try await withinLimits {
            try await readBack(reasons, into: RecordedNodeFailures()) { $0.add($1) }
        }
        if let recorded { restore(recorded, into: nodes, claimsOf: state) }
    }

    private func restore(_ reported: RecordedNodeFailures, into nodes: NodeState, claimsOf state: MonitorState) {
        let wall = Time.now().seconds
        let restored = now
        for (key, reported) in reported.failures {
            guard let claim = state.withHealthState({ $0.claim(at: reported.claim) }), claim.uid == key.claimUID else {
                continue
            }
            let age = Duration.age(of: reported.time, now: wall)
            nodes.update { $0.restore(reportedFailureOf: key.node, to: claim, reportedAt: restored - age) }
        }
    }
}

/// What the tasks of the node watcher share. Its lock may be held while that of the monitor's core is taken, never the
/// other way round.
private final class NodeState: Sendable {
    private let failures: Mutex<NodeFailures>
    /// There may be something to report.
    let changed = WakeUp()

    init(_ failures: sending NodeFailures) {
        self.failures = Mutex(failures)
    }

    func withFailures<R: Sendable>(_ body: (inout sending NodeFailures) -> sending R) -> R {
        failures.withLock(body)
    }

    /// Hands facts to the core and wakes whoever may have something to do now.
    func update(_ body: (inout sending NodeFailures) -> sending Void) {
        defer { changed.signal() }
        failures.withLock(body)
    }
}

extension MonitoredNode {
    /// A node that is there when a watch begins. Since when it is not Ready, the condition says: the clocks of the
    /// control plane and of this host are compared for that alone.
    package init(listed node: Node, at now: Duration) {
        let time = node.readyCondition.lastTransitionTime.seconds
        let age = time == 0 ? .zero : Duration.age(of: time, now: Time.now().seconds)
        self.init(node, notReadySince: now - age)
    }

    /// A node that has changed just now.
    fileprivate init(changed node: Node, at now: Duration) {
        self.init(node, notReadySince: now)
    }

    private init(_ node: Node, notReadySince time: Duration) {
        let readiness: Readiness =
            switch node.readyCondition.status {
            case "True": .ready
            case "": .unknown
            default: .notReady(since: time)
            }
        self.init(name: node.metadata.name, readiness: readiness)
    }
}

extension Node {
    /// Empty where there is none.
    fileprivate var readyCondition: NodeCondition {
        status.conditions.first { $0.type == "Ready" } ?? NodeCondition()
    }
}

extension MonitoredPod {
    package init(_ pod: Pod) {
        let name = pod.metadata.name
        let claims = pod.spec.volumes.compactMap { volume in
            let source = volume.volumeSource
            if source.hasPersistentVolumeClaim { return source.persistentVolumeClaim.claimName }
            // The name that Kubernetes gives to the claim of a generic ephemeral volume.
            return source.hasEphemeral ? "\(name)-\(volume.name)" : nil
        }
        self.init(
            key: Key(namespace: pod.metadata.namespace, name: name),
            nodeName: pod.spec.nodeName,
            claimNames: claims
        )
    }
}
