// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// A Pod that uses claims on a node.
package struct PodFixture: Sendable, Hashable {
    /// The pod's namespace.
    package var namespace = "default"
    /// The pod's name.
    package var name: String
    /// The node that it runs on; empty: it is not scheduled.
    package var nodeName: String
    /// The claims of its namespace that it uses.
    package var claimNames: [String]
    /// `status.phase`
    package var phase = "Running"

    /// A running pod.
    package init(name: String, nodeName: String, claimNames: [String]) {
        self.name = name
        self.nodeName = nodeName
        self.claimNames = claimNames
    }

    /// Creates the pod.
    ///
    /// - Returns: the pod's uid.
    @discardableResult
    package func create(in server: SimulatedAPIServer) throws -> String {
        // A real pod has volumes of other kinds too.
        let configuration: JSONValue = ["name": "config"]
        let claims = claimNames.enumerated().map { number, claim -> JSONValue in
            ["name": .string("data-\(number)"), "persistentVolumeClaim": ["claimName": .string(claim)]]
        }
        let pod = try server.create([
            "apiVersion": "v1", "kind": "Pod",
            "metadata": ["namespace": .string(namespace), "name": .string(name)],
            "spec": [
                "containers": [["name": "app", "image": "pause"]],
                "nodeName": .string(nodeName), "volumes": .array([configuration] + claims),
            ],
            "status": ["phase": .string(phase)],
        ])
        return pod["metadata", "uid"]?.string ?? ""
    }
}
