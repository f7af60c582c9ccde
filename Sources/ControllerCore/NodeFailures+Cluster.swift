// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// A Node as far as its failure matters.
package struct MonitoredNode: Sendable, Hashable {
    /// What a node's Ready condition says.
    package enum Readiness: Sendable, Hashable {
        /// True.
        case ready
        /// False or Unknown, since this moment; it may be before the clock's beginning.
        case notReady(since: Duration)
        /// There is no such condition.
        case unknown
    }

    /// `metadata.name`
    package var name: String
    /// The condition of type Ready.
    package var readiness: Readiness

    /// Describes a node.
    package init(name: String, readiness: Readiness) {
        self.name = name
        self.readiness = readiness
    }
}

/// A Pod as far as it ties claims to a node.
package struct MonitoredPod: Sendable, Hashable {
    /// Where a pod is found. One that is made anew has the same key.
    package struct Key: Sendable, Hashable {
        /// `metadata.namespace`
        package var namespace: String
        /// `metadata.name`
        package var name: String

        /// Names a pod.
        package init(namespace: String, name: String) {
            self.namespace = namespace
            self.name = name
        }
    }

    /// Namespace and name.
    package var key: Key
    /// `spec.nodeName`; empty until the pod is scheduled.
    package var nodeName: String
    /// The claims of its volumes, each once.
    package private(set) var claimNames: [String]

    /// Describes a pod.
    package init(key: Key, nodeName: String, claimNames: [String]) {
        self.key = key
        self.nodeName = nodeName
        self.claimNames = claimNames.count > 1 ? Set(claimNames).sorted() : claimNames
    }
}

/// What the watches of nodes and pods say. Each half: begin a relist, apply every object, end the relist; after that
/// apply and remove one by one.
extension NodeFailures {
    /// A new list of nodes begins.
    package mutating func beginNodeRelist() {
        nodes.beginRelist()
    }

    /// The list of nodes is complete: what was not in it was deleted.
    package mutating func endNodeRelist(at now: Duration) {
        for node in nodes.endRelist() {
            deleted(node.name, at: now)
        }
        unsynced.remove(.nodes)
    }

    /// A node was listed, added or modified. While it is not Ready, the first word on since when counts: a change
    /// from False to Unknown is none.
    package mutating func apply(_ node: MonitoredNode, at now: Duration) {
        var node = node
        let before = nodes[node.name]
        if case .notReady = node.readiness, let before, case .notReady = before.readiness {
            node.readiness = before.readiness
        }
        nodes.update(node, for: node.name)
        absences[node.name] = nil
        if node != before { reconsider(node.name, at: now) }
    }

    /// A node was deleted.
    package mutating func removeNode(named name: String, at now: Duration) {
        if nodes.remove(name) != nil { deleted(name, at: now) }
    }

    /// A new list of pods begins.
    package mutating func beginPodRelist() {
        pods.beginRelist()
    }

    /// The list of pods is complete: what was not in it is gone.
    package mutating func endPodRelist(at now: Duration) {
        for pod in pods.endRelist() {
            unlink(pod, at: now)
        }
        unsynced.remove(.pods)
    }

    /// A pod was listed, added or modified. One without a node or without claims is not kept.
    package mutating func apply(_ pod: MonitoredPod, at now: Duration) {
        guard !pod.nodeName.isEmpty, !pod.claimNames.isEmpty else {
            removePod(pod.key, at: now)
            return
        }
        let before = pods.update(pod, for: pod.key)
        if before == pod { return }
        if let before, before.nodeName != pod.nodeName { unlink(before, at: now) }
        podsByNode[pod.nodeName, default: []].insert(pod.key)
        if nodes[pod.nodeName] == nil, absences[pod.nodeName] == nil {
            absences[pod.nodeName] = now + notReadyDuration
        }
        reconsider(pod.nodeName, at: now)
    }

    /// A pod was deleted, or has ended.
    package mutating func removePod(_ key: MonitoredPod.Key, at now: Duration) {
        if let pod = pods.remove(key) { unlink(pod, at: now) }
    }

    private mutating func deleted(_ node: String, at now: Duration) {
        if podsByNode[node] != nil { absences[node] = now }
        reconsider(node, at: now)
    }

    private mutating func unlink(_ pod: MonitoredPod, at now: Duration) {
        podsByNode[pod.nodeName]?.remove(pod.key)
        if podsByNode[pod.nodeName]?.isEmpty == true {
            podsByNode[pod.nodeName] = nil
            absences[pod.nodeName] = nil
        }
        reconsider(pod.nodeName, at: now)
    }
}
