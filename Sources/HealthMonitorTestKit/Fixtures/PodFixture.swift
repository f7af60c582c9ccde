// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// A Pod with PersistentVolumeClaims.
package struct PodFixture: Sendable, Hashable {
    package var namespace = "default"
    package var name: String
    /// Empty for a pod that is not scheduled.
    package var nodeName: String
    /// Claims in its namespace.
    package var claimNames: [String]
    /// `status.phase`
    package var phase = "Running"

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
