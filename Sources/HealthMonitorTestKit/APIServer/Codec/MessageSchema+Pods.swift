// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

// Pods: k8s.io/api/core/v1/generated.proto, with the fields that the monitor reads or `kubectl describe pod` shows.

extension MessageSchema {
    static let pod = MessageSchema(
        "Pod",
        [
            .field("metadata", 1, .message(objectMeta)),
            .field("spec", 2, .message(podSpec)),
            .field("status", 3, .message(podStatus)),
        ]
    )

    private static let podSpec = MessageSchema(
        "PodSpec",
        [
            .field("volumes", 1, .list(.message(volume))),
            .field("containers", 2, .list(.message(container))),
            .field("restartPolicy", 3, .string),
            .pointer("terminationGracePeriodSeconds", 4, .int64),
            .field("nodeSelector", 7, .map(.string)),
            .field("serviceAccountName", 8, .string),
            .field("nodeName", 10, .string),
            .field("initContainers", 20, .list(.message(container))),
            .field("readinessGates", 28, .list(.message(podReadinessGate))),
            .field("ephemeralContainers", 34, .list(.message(ephemeralContainer))),
        ]
    )

    private static let podReadinessGate = MessageSchema(
        "PodReadinessGate",
        [.field("conditionType", 1, .string)]
    )

    // MARK: Volumes

    private static let volume = MessageSchema(
        "Volume",
        [
            .field("name", 1, .string),
            .field("volumeSource", 2, .inlined(volumeSource)),
        ]
    )

    private static let volumeSource = MessageSchema(
        "VolumeSource",
        [
            .pointer("emptyDir", 2, .message(emptyDirVolumeSource)),
            .pointer("persistentVolumeClaim", 10, .message(persistentVolumeClaimVolumeSource)),
            .pointer("csi", 28, .message(csiVolumeSource)),
            .pointer("ephemeral", 29, .message(ephemeralVolumeSource)),
        ]
    )

    private static let emptyDirVolumeSource = MessageSchema(
        "EmptyDirVolumeSource",
        [.field("medium", 1, .string)]
    )

    private static let persistentVolumeClaimVolumeSource = MessageSchema(
        "PersistentVolumeClaimVolumeSource",
        [
            .field("claimName", 1, .string),
            .field("readOnly", 2, .bool),
        ]
    )

    private static let csiVolumeSource = MessageSchema(
        "CSIVolumeSource",
        [
            .field("driver", 1, .string),
            .pointer("readOnly", 2, .bool),
            .pointer("fsType", 3, .string),
            .field("volumeAttributes", 4, .map(.string)),
        ]
    )

    private static let ephemeralVolumeSource = MessageSchema(
        "EphemeralVolumeSource",
        [.pointer("volumeClaimTemplate", 1, .message(persistentVolumeClaimTemplate))]
    )

    private static let persistentVolumeClaimTemplate = MessageSchema(
        "PersistentVolumeClaimTemplate",
        [
            .field("metadata", 1, .message(objectMeta)),
            .field("spec", 2, .message(persistentVolumeClaimSpec)),
        ]
    )

    // MARK: Containers

    private static let containerFields: [FieldSchema] = [
        .field("name", 1, .string),
        .field("image", 2, .string),
        .field("command", 3, .list(.string)),
        .field("args", 4, .list(.string)),
        .field("volumeMounts", 9, .list(.message(volumeMount))),
        .field("volumeDevices", 21, .list(.message(volumeDevice))),
        .pointer("restartPolicy", 24, .string),
    ]

    private static let container = MessageSchema("Container", containerFields)

    private static let ephemeralContainer = MessageSchema(
        "EphemeralContainer",
        [
            .field(
                "ephemeralContainerCommon",
                1,
                .inlined(MessageSchema("EphemeralContainerCommon", containerFields))
            ),
            .field("targetContainerName", 2, .string),
        ]
    )

    private static let volumeMount = MessageSchema(
        "VolumeMount",
        [
            .field("name", 1, .string),
            .field("readOnly", 2, .bool),
            .field("mountPath", 3, .string),
            .field("subPath", 4, .string),
        ]
    )

    private static let volumeDevice = MessageSchema(
        "VolumeDevice",
        [
            .field("name", 1, .string),
            .field("devicePath", 2, .string),
        ]
    )

    // MARK: Status

    private static let podStatus = MessageSchema(
        "PodStatus",
        [
            .field("phase", 1, .string),
            .field("conditions", 2, .list(.message(podCondition))),
            .field("message", 3, .string),
            .field("reason", 4, .string),
            .field("hostIP", 5, .string),
            .field("podIP", 6, .string),
            .pointer("startTime", 7, .time),
            .field("containerStatuses", 8, .list(.message(containerStatus))),
            .field("qosClass", 9, .string),
            .field("initContainerStatuses", 10, .list(.message(containerStatus))),
            .field("ephemeralContainerStatuses", 13, .list(.message(containerStatus))),
        ]
    )

    private static let podCondition = MessageSchema(
        "PodCondition",
        [
            .field("type", 1, .string),
            .field("status", 2, .string),
            .field("lastProbeTime", 3, .time),
            .field("lastTransitionTime", 4, .time),
            .field("reason", 5, .string),
            .field("message", 6, .string),
            .field("observedGeneration", 7, .int64),
        ]
    )

    private static let containerStatus = MessageSchema(
        "ContainerStatus",
        [
            .field("name", 1, .string),
            .field("state", 2, .message(containerState)),
            .field("lastState", 3, .message(containerState)),
            .field("ready", 4, .bool),
            .field("restartCount", 5, .int32),
            .field("image", 6, .string),
            .field("imageID", 7, .string),
            .field("containerID", 8, .string),
            .pointer("started", 9, .bool),
        ]
    )

    private static let containerState = MessageSchema(
        "ContainerState",
        [
            .pointer("waiting", 1, .message(containerStateWaiting)),
            .pointer("running", 2, .message(containerStateRunning)),
            .pointer("terminated", 3, .message(containerStateTerminated)),
        ]
    )

    private static let containerStateWaiting = MessageSchema(
        "ContainerStateWaiting",
        [
            .field("reason", 1, .string),
            .field("message", 2, .string),
        ]
    )

    private static let containerStateRunning = MessageSchema(
        "ContainerStateRunning",
        [.field("startedAt", 1, .time)]
    )

    private static let containerStateTerminated = MessageSchema(
        "ContainerStateTerminated",
        [
            .field("exitCode", 1, .int32),
            .field("signal", 2, .int32),
            .field("reason", 3, .string),
            .field("message", 4, .string),
            .field("startedAt", 5, .time),
            .field("finishedAt", 6, .time),
            .field("containerID", 7, .string),
        ]
    )
}
