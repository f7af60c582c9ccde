// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// A Node with its Ready condition.
package struct NodeFixture: Sendable, Hashable {
    /// The status of the Ready condition.
    package enum Readiness: String, Sendable {
        case ready = "True"
        /// The kubelet reports that the node is not ready.
        case notReady = "False"
        /// The kubelet has not reported for a while.
        case unknown = "Unknown"
    }

    package var name: String
    /// nil for a node that has no Ready condition yet.
    package var readiness: Readiness?
    /// The condition's lastTransitionTime, in seconds since 1970.
    package var since: Int64

    /// By default the node has been ready since 2026-01-01.
    package init(name: String, readiness: Readiness? = .ready, since: Int64 = 1_767_225_600) {
        self.name = name
        self.readiness = readiness
        self.since = since
    }

    /// Creates the node, or updates its status.
    ///
    /// - Returns: the node's uid.
    @discardableResult
    package func store(in server: SimulatedAPIServer) throws -> String {
        let status: JSONValue = ["conditions": .array(conditions)]
        let node =
            if try server.object(kind: "Node", name: name) == nil {
                try server.create([
                    "apiVersion": "v1", "kind": "Node", "metadata": ["name": .string(name)], "status": status,
                ])
            } else {
                try server.patch(kind: "Node", name: name, ["status": status])
            }
        return node["metadata", "uid"]?.string ?? ""
    }

    /// A real node has more conditions than Ready, in any order.
    private var conditions: [JSONValue] {
        let pressure: JSONValue = [
            "type": "MemoryPressure", "status": "False", "reason": "KubeletHasSufficientMemory",
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        ]
        guard let readiness else { return [pressure] }
        let condition: JSONValue = [
            "type": "Ready", "status": .string(readiness.rawValue),
            "reason": .string(readiness == .ready ? "KubeletReady" : "KubeletNotReady"),
            "lastTransitionTime": .string(Timestamp(seconds: since).text),
        ]
        return [pressure, condition]
    }
}
