// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// A Pod with volumes of CSI drivers, in each state of its life.
package struct PodFixture: Sendable, Hashable {
    package var namespace = "default"
    package var name: String
    /// Empty for a pod that is not scheduled.
    package var nodeName: String
    /// Each is used by the pod's container.
    package var volumes: [Volume]
    /// `status.phase`
    package var phase = "Running"
    /// Whether its volumes are mounted and its container runs.
    package var hasStarted = true
    /// The types of the conditions in `spec.readinessGates`.
    package var readinessGates: [String] = []
    package var annotations: [String: String] = [:]
    /// nil for one that the server chooses.
    package var uid: String?

    package init(name: String, nodeName: String, volumes: [Volume]) {
        self.name = name
        self.nodeName = nodeName
        self.volumes = volumes
    }

    /// With claims in the pod's namespace, as `data-0`, `data-1`, ...
    package init(name: String, nodeName: String, claimNames: [String]) {
        let volumes = claimNames.enumerated().map { Volume(name: "data-\($0)", source: .claim($1)) }
        self.init(name: name, nodeName: nodeName, volumes: volumes)
    }

    /// Creates the pod.
    ///
    /// - Returns: the pod's uid.
    @discardableResult
    package func create(in server: SimulatedAPIServer) throws -> String {
        var metadata: JSONValue = ["namespace": .string(namespace), "name": .string(name)]
        metadata["uid"] = uid.map { .string($0) }
        if !annotations.isEmpty { metadata["annotations"] = .object(annotations.mapValues { .string($0) }) }
        var container: JSONValue = ["name": "app", "image": "pause"]
        container["volumeMounts"] = .array(volumes.filter { $0.use == .mounted }.map(\.mount))
        container["volumeDevices"] = .array(volumes.filter { $0.use == .device }.map(\.device))
        // A real pod has volumes of other kinds too.
        let temporary: JSONValue = ["name": "temporary", "emptyDir": [:]]
        let pod = try server.create([
            "apiVersion": "v1", "kind": "Pod", "metadata": metadata,
            "spec": [
                "containers": [container], "nodeName": .string(nodeName), "restartPolicy": "Always",
                "readinessGates": .array(readinessGates.map { ["conditionType": .string($0)] }),
                "volumes": .array([temporary] + volumes.map(\.value)),
            ],
            "status": status,
        ])
        return pod["metadata", "uid"]?.string ?? ""
    }

    // MARK: Its life

    /// Sets what the kubelet reports when the volumes are mounted and the container runs.
    package mutating func start(in server: SimulatedAPIServer) throws {
        (phase, hasStarted) = ("Running", true)
        try patchStatus(in: server)
    }

    /// Ends the containers for good, as of a Job. The volumes are unmounted, the Pod stays.
    ///
    /// - Parameter phase: `Succeeded` or `Failed`.
    package mutating func end(in server: SimulatedAPIServer, phase: String = "Succeeded") throws {
        self.phase = phase
        try patchStatus(in: server)
    }

    /// Sets the deletionTimestamp, as `kubectl delete` does. The Pod is there until ``delete(in:)``.
    package func terminate(in server: SimulatedAPIServer) throws {
        try server.delete(kind: "Pod", namespace: namespace, name: name, gracePeriod: 30)
    }

    /// Removes the Pod, as the kubelet does after its containers have ended.
    package func delete(in server: SimulatedAPIServer) throws {
        try server.delete(kind: "Pod", namespace: namespace, name: name)
    }

    /// Replaces the Pod by one of the same name with another uid, as a StatefulSet does.
    ///
    /// - Returns: the new pod's uid.
    @discardableResult
    package mutating func replace(in server: SimulatedAPIServer) throws -> String {
        try delete(in: server)
        uid = nil
        return try create(in: server)
    }

    private func patchStatus(in server: SimulatedAPIServer) throws {
        try server.patch(kind: "Pod", namespace: namespace, name: name, ["status": status])
    }

    /// As the kubelet writes it (pkg/kubelet/kubelet_pods.go, generateAPIPodStatus).
    private var status: JSONValue {
        let hasEnded = ["Succeeded", "Failed"].contains(phase)
        let isRunning = hasStarted && !hasEnded
        let since: JSONValue = "2026-01-01T00:00:00Z"
        let types = ["PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled"]
        let conditions = types.map { type -> JSONValue in
            let isTrue =
                switch type {
                case "PodScheduled": !nodeName.isEmpty
                case "Initialized": !nodeName.isEmpty
                default: isRunning
                }
            return [
                "type": .string(type), "status": .string(isTrue ? "True" : "False"), "lastTransitionTime": since,
            ]
        }
        var status: JSONValue = ["phase": .string(phase), "qosClass": "BestEffort"]
        guard !nodeName.isEmpty else { return status }
        status["conditions"] = .array(conditions)
        status["startTime"] = since
        status["hostIP"] = "192.0.2.1"
        let state: JSONValue =
            if !hasStarted {
                ["waiting": ["reason": "ContainerCreating"]]
            } else if hasEnded {
                ["terminated": ["exitCode": phase == "Failed" ? 1 : 0, "reason": "Completed", "finishedAt": since]]
            } else {
                ["running": ["startedAt": since]]
            }
        var container: JSONValue = [
            "name": "app", "image": "pause", "ready": .bool(isRunning), "started": .bool(isRunning), "state": state,
        ]
        if hasStarted { container["containerID"] = "containerd://5d1c" }
        status["containerStatuses"] = [container]
        return status
    }
}
