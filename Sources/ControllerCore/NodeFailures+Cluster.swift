// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// A Node, reduced to what shows its failure.
package struct MonitoredNode: Sendable, Hashable {
    /// The status of a node's Ready condition.
    package enum Readiness: Sendable, Hashable {
        /// True.
        case ready
        /// False or Unknown, since this moment, which may be before the clock's origin.
        case notReady(since: Duration)
        /// The node has no such condition.
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

/// A Pod, reduced to what ties claims to a node.
package struct MonitoredPod: Sendable, Hashable {
    /// The namespace and name of a pod. A pod that is deleted and created again has the same key.
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
    /// The names of the claims of its volumes, each once.
    package private(set) var claimNames: [String]

    package init(key: Key, nodeName: String, claimNames: [String]) {
        self.key = key
        self.nodeName = nodeName
        self.claimNames = claimNames.count > 1 ? Set(claimNames).sorted() : claimNames
    }
}

/// The input of the watches of nodes and pods. For each of the two: begin a relist, apply every object, end the relist;
/// then apply and remove single objects.
extension NodeFailures {
    /// A new list of nodes begins.
    package mutating func beginNodeRelist() {
        nodes.beginRelist()
    }

    /// The list of nodes is complete: nodes that were not in it were deleted.
    package mutating func endNodeRelist(at now: Duration) {
        for node in nodes.endRelist() {
            deleted(node.name, at: now)
        }
        unsynced.remove(.nodes)
    }

    /// A node was listed, added or modified. While it is not Ready, the first known time counts: a change from False to
    /// Unknown does not restart it.
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

    /// A new list of pods begins.
    package mutating func beginPodRelist() {
        pods.beginRelist()
    }

    /// The list of pods is complete: pods that were not in it are gone.
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

    /// A pod was deleted, or has ended.
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
