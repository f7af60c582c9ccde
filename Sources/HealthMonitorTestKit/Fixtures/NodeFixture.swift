// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// A Node with its Ready condition.
package struct NodeFixture: Sendable, Hashable {
    /// The status of the Ready condition.
    package enum Readiness: String, Sendable {
        /// The node takes pods and runs them.
        case ready = "True"
        /// The kubelet says that something is wrong.
        case notReady = "False"
        /// The kubelet has not reported for a while.
        case unknown = "Unknown"
    }

    /// The node's name.
    package var name: String
    /// Whether it is ready; nil: nobody has said so yet.
    package var readiness: Readiness?
    /// Since when, in seconds since 1970.
    package var since: Int64

    /// A node; by default one that has been ready since 2026-01-01.
    package init(name: String, readiness: Readiness? = .ready, since: Int64 = 1_767_225_600) {
        self.name = name
        self.readiness = readiness
        self.since = since
    }

    /// Creates the node, or changes what there is of it.
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
