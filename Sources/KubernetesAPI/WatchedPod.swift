// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// A Pod, reduced to what says which volumes the kubelet has mounted for it.
package struct WatchedPod: ListedObject, Hashable {
    package static let resource = Pod.resource

    /// Without unknown fields, and without those that are not needed here.
    package let pod: Pod

    /// Reads a pod. Invalid UTF-8 is repaired, and a text that is longer than a valid one is read as empty: any client
    /// that may create a pod chooses them.
    ///
    /// - Throws: if the bytes are not a message.
    package init(reading bytes: Span<UInt8>) throws {
        pod = try Pod(keeping: Self.kept, of: bytes)
    }

    package var resourceVersion: String { pod.metadata.resourceVersion }

    /// Whether the pod is being deleted.
    package var isDeleting: Bool { pod.metadata.hasDeletionTimestamp }

    /// Whether this is a static pod, which the kubelet reads from a file or a URL and mirrors to the API server. It
    /// cannot refer to claims, and its directories carry another uid.
    package var isMirror: Bool { pod.metadata.annotations["kubernetes.io/config.mirror"] != nil }

    /// Whether the kubelet has mounted the volumes, which it does before it creates the pod's sandbox.
    ///
    /// The condition is set by default since Kubernetes 1.29 (KEP-3085). It is False again after a restart of the node,
    /// while the statuses still show the containers before it. Where it is missing, the first container shows that the
    /// pod has started.
    package var isStarted: Bool {
        let status = pod.status
        if let condition = status.conditions.first(where: { $0.type == "PodReadyToStartContainers" }) {
            return condition.status == "True"
        }
        return [status.containerStatuses, status.initContainerStatuses, status.ephemeralContainerStatuses]
            .joined().contains(where: \.hasStarted)
    }

    /// Whether the kubelet has mounted the volumes since the node has booted.
    ///
    /// A pod keeps its uid and its status over a reboot, and nothing is mounted until the kubelet syncs it: the kubelet
    /// then sets PodReadyToStartContainers to False, and to True when it has created the new sandbox
    /// (k8s.io/kubernetes, pkg/kubelet/status/generate.go, `GeneratePodReadyToStartContainersCondition`).
    ///
    /// - Parameter boot: in seconds since 1970.
    package func hasStarted(sinceBoot boot: Int64) -> Bool {
        pod.status.conditions.contains { condition in
            condition.type == "PodReadyToStartContainers" && condition.status == "True"
                && condition.lastTransitionTime.seconds >= boot
        }
    }

    /// Whether all containers have ended for good: the kubelet unmounts the volumes.
    package var hasEnded: Bool { pod.status.phase == "Succeeded" || pod.status.phase == "Failed" }

    /// The names of the volumes that some container mounts or has as a device. The kubelet mounts no others.
    ///
    /// An ephemeral container is added to a pod that has started, and its volumes are mounted before it starts: until
    /// then they do not count.
    package var usedVolumes: Set<String> {
        let started = Set(pod.status.ephemeralContainerStatuses.filter(\.hasStarted).map(\.name))
        let ephemeral = pod.spec.ephemeralContainers.map(\.ephemeralContainerCommon)
            .filter { started.contains($0.name) }
        let containers = pod.spec.containers + pod.spec.initContainers + ephemeral
        return Set(containers.flatMap { $0.volumeMounts.map(\.name) + $0.volumeDevices.map(\.name) })
    }

    private static let kept: [Int: KeptField] = {
        let source = KeptField.message([10: .message([1: .name]), 28: .message([1: .name]), 29: .message([:])])
        let container = KeptField.message([9: .message([1: .name]), 21: .message([1: .name])])
        let ephemeral = KeptField.message([1: .name, 9: .message([1: .name]), 21: .message([1: .name])])
        let condition = KeptField.message([
            1: .qualifiedName, 2: .name, 4: .time, 5: .text(limit: 1024), 6: .text(limit: 4096),
        ])
        let state = KeptField.message([2: .message([:]), 3: .message([:])])
        let status = KeptField.message([2: state, 3: state, 8: .name])
        let ephemeralStatus = KeptField.message([1: .name, 2: state, 3: state, 8: .name])
        return [
            1: .message([1: .name, 3: .name, 5: .name, 6: .name, 9: .time, 12: .message([1: .qualifiedName])]),
            2: .message([
                1: .message([1: .name, 2: source]), 2: container, 10: .name, 20: container,
                28: .message([1: .qualifiedName]), 34: .message([1: ephemeral]),
            ]),
            3: .message([1: .name, 2: condition, 8: status, 10: status, 13: ephemeralStatus]),
        ]
    }()
}

extension ContainerStatus {
    /// Whether the container runs, has run, or was created.
    fileprivate var hasStarted: Bool {
        [state, lastState].contains { $0.hasRunning || $0.hasTerminated } || !containerID.isEmpty
    }
}
