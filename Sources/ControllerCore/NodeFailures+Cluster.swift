// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// The name and the Ready condition of a Node: what decides whether it has failed.
package struct MonitoredNode: Sendable, Hashable {
    /// The status of a node's Ready condition.
    package enum Readiness: Sendable, Hashable {
        /// The status is True.
        case ready
        /// The status is False or Unknown, since this moment, which is negative if it is before the clock's origin.
        case notReady(since: Duration)
        /// The node has no Ready condition: it does not count as failed.
        case unknown
    }

    /// `metadata.name`
    package var name: String
    /// The condition of type Ready.
    package var readiness: Readiness

    package init(name: String, readiness: Readiness) {
        self.name = name
        self.readiness = readiness
    }
}

/// The key, the node and the claims of a Pod: which claims are used on which node.
package struct MonitoredPod: Sendable, Hashable {
    /// The namespace and name of a pod. A pod that is deleted and recreated has the same key.
    package struct Key: Sendable, Hashable {
        package var namespace: String
        /// `metadata.name`
        package var name: String

        package init(namespace: String, name: String) {
            self.namespace = namespace
            self.name = name
        }
    }

    package var key: Key
    /// `spec.nodeName`; empty until the pod is scheduled.
    package var nodeName: String
    /// The names of the claims that its volumes refer to, sorted and without duplicates.
    package private(set) var claimNames: [String]

    package init(key: Key, nodeName: String, claimNames: [String]) {
        self.key = key
        self.nodeName = nodeName
        self.claimNames = claimNames.count > 1 ? Set(claimNames).sorted() : claimNames
    }
}

/// The input from the watches of nodes and pods. For each watch the caller begins a relist, applies every listed
/// object, and ends the relist; then it applies and removes single objects.
extension NodeFailures {
    /// A list of nodes begins. The nodes known before stay in use until it is complete.
    package mutating func beginNodeRelist() {
        nodes.beginRelist()
    }

    /// The list of nodes is complete: known nodes that are not in it have been deleted.
    package mutating func endNodeRelist(at now: Duration) {
        for node in nodes.endRelist() {
            deleted(node.name, at: now)
        }
        unsynced.remove(.nodes)
    }

    /// A node was listed, added or modified. While the node is not Ready, its first ``MonitoredNode/readiness`` is
    /// kept: a change from False to Unknown does not restart the time.
    package mutating func apply(_ node: MonitoredNode, at now: Duration) {
        var node = node
        let before = nodes[node.name]
        if case .notReady = node.readiness, let before, case .notReady = before.readiness {
            node.readiness = before.readiness
        }
        nodes.update(node, for: node.name)
        missingNodes[node.name] = nil
        if node != before { nodeChanged(node.name, at: now) }
    }

    /// A node was deleted.
    package mutating func removeNode(named name: String, at now: Duration) {
        if nodes.remove(name) != nil { deleted(name, at: now) }
    }

    /// A list of pods begins. The pods known before stay in use until it is complete.
    package mutating func beginPodRelist() {
        pods.beginRelist()
    }

    /// The list of pods is complete: known pods that are not in it have been deleted or have terminated.
    package mutating func endPodRelist(at now: Duration) {
        for pod in pods.endRelist() {
            unlink(pod, at: now)
        }
        unsynced.remove(.pods)
    }

    /// A pod was listed, added or modified. A pod without a node or without claims is not kept.
    package mutating func apply(_ pod: MonitoredPod, at now: Duration) {
        guard !pod.nodeName.isEmpty, !pod.claimNames.isEmpty else {
            removePod(pod.key, at: now)
            return
        }
        let before = pods.update(pod, for: pod.key)
        if before == pod { return }
        if let before, before.nodeName != pod.nodeName { unlink(before, at: now) }
        podsByNode[pod.nodeName, default: []].insert(pod.key)
        if nodes[pod.nodeName] == nil, missingNodes[pod.nodeName] == nil {
            missingNodes[pod.nodeName] = now + notReadyDuration
        }
        nodeChanged(pod.nodeName, at: now)
    }

    /// A pod was deleted or has terminated (phase Succeeded or Failed).
    package mutating func removePod(_ key: MonitoredPod.Key, at now: Duration) {
        if let pod = pods.remove(key) { unlink(pod, at: now) }
    }

    private mutating func deleted(_ node: String, at now: Duration) {
        if podsByNode[node] != nil { missingNodes[node] = now }
        nodeChanged(node, at: now)
    }

    private mutating func unlink(_ pod: MonitoredPod, at now: Duration) {
        podsByNode[pod.nodeName]?.remove(pod.key)
        if podsByNode[pod.nodeName]?.isEmpty == true {
            podsByNode[pod.nodeName] = nil
            missingNodes[pod.nodeName] = nil
        }
        nodeChanged(pod.nodeName, at: now)
    }
}
