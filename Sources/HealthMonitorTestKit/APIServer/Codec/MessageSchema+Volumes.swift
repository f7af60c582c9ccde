// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

// k8s.io/api/core/v1/generated.proto: volumes and claims

extension MessageSchema {
    static let objectReference = MessageSchema(
        "ObjectReference",
        [
            .field("kind", 1, .string),
            .field("namespace", 2, .string),
            .field("name", 3, .string),
            .field("uid", 4, .string),
            .field("apiVersion", 5, .string),
            .field("resourceVersion", 6, .string),
            .field("fieldPath", 7, .string),
        ]
    )

    // MARK: PersistentVolume

    static let persistentVolume = MessageSchema(
        "PersistentVolume",
        [
            .field("metadata", 1, .message(objectMeta)),
            .field("spec", 2, .message(persistentVolumeSpec)),
            .field("status", 3, .message(persistentVolumeStatus)),
        ]
    )

    private static let persistentVolumeSpec = MessageSchema(
        "PersistentVolumeSpec",
        [
            .field("capacity", 1, .map(.quantity)),
            .field("persistentVolumeSource", 2, .inlined(persistentVolumeSource)),
            .field("accessModes", 3, .list(.string)),
            .pointer("claimRef", 4, .message(objectReference)),
            .field("persistentVolumeReclaimPolicy", 5, .string),
            .field("storageClassName", 6, .string),
            .field("mountOptions", 7, .list(.string)),
            .pointer("volumeMode", 8, .string),
            .pointer("nodeAffinity", 9, .message(volumeNodeAffinity)),
        ]
    )

    /// Sources of a PersistentVolume, trimmed to those that tests and demonstrations use.
    static let persistentVolumeSource = MessageSchema(
        "PersistentVolumeSource",
        [
            .pointer("hostPath", 3, .message(hostPathVolumeSource)),
            .pointer("csi", 22, .message(csiPersistentVolumeSource)),
        ]
    )

    private static let hostPathVolumeSource = MessageSchema(
        "HostPathVolumeSource",
        [
            .field("path", 1, .string),
            .pointer("type", 2, .string),
        ]
    )

    private static let csiPersistentVolumeSource = MessageSchema(
        "CSIPersistentVolumeSource",
        [
            .field("driver", 1, .string),
            .field("volumeHandle", 2, .string),
            .field("readOnly", 3, .bool),
            .field("fsType", 4, .string),
            .field("volumeAttributes", 5, .map(.string)),
            .pointer("controllerPublishSecretRef", 6, .message(secretReference)),
            .pointer("nodeStageSecretRef", 7, .message(secretReference)),
            .pointer("nodePublishSecretRef", 8, .message(secretReference)),
            .pointer("controllerExpandSecretRef", 9, .message(secretReference)),
            .pointer("nodeExpandSecretRef", 10, .message(secretReference)),
        ]
    )

    private static let secretReference = MessageSchema(
        "SecretReference",
        [
            .field("name", 1, .string),
            .field("namespace", 2, .string),
        ]
    )

    private static let volumeNodeAffinity = MessageSchema(
        "VolumeNodeAffinity",
        [.pointer("required", 1, .message(nodeSelector))]
    )

    private static let nodeSelector = MessageSchema(
        "NodeSelector",
        [.field("nodeSelectorTerms", 1, .list(.message(nodeSelectorTerm)))]
    )

    private static let nodeSelectorTerm = MessageSchema(
        "NodeSelectorTerm",
        [
            .field("matchExpressions", 1, .list(.message(selectorRequirement))),
            .field("matchFields", 2, .list(.message(selectorRequirement))),
        ]
    )

    private static let persistentVolumeStatus = MessageSchema(
        "PersistentVolumeStatus",
        [
            .field("phase", 1, .string),
            .field("message", 2, .string),
            .field("reason", 3, .string),
            .pointer("lastPhaseTransitionTime", 4, .time),
        ]
    )

    // MARK: PersistentVolumeClaim

    static let persistentVolumeClaim = MessageSchema(
        "PersistentVolumeClaim",
        [
            .field("metadata", 1, .message(objectMeta)),
            .field("spec", 2, .message(persistentVolumeClaimSpec)),
            .field("status", 3, .message(persistentVolumeClaimStatus)),
        ]
    )

    static let persistentVolumeClaimSpec = MessageSchema(
        "PersistentVolumeClaimSpec",
        [
            .field("accessModes", 1, .list(.string)),
            .field("resources", 2, .message(volumeResourceRequirements)),
            .field("volumeName", 3, .string),
            .pointer("selector", 4, .message(labelSelector)),
            .pointer("storageClassName", 5, .string),
            .pointer("volumeMode", 6, .string),
        ]
    )

    private static let volumeResourceRequirements = MessageSchema(
        "VolumeResourceRequirements",
        [
            .field("limits", 1, .map(.quantity)),
            .field("requests", 2, .map(.quantity)),
        ]
    )

    private static let persistentVolumeClaimStatus = MessageSchema(
        "PersistentVolumeClaimStatus",
        [
            .field("phase", 1, .string),
            .field("accessModes", 2, .list(.string)),
            .field("capacity", 3, .map(.quantity)),
            .field("conditions", 4, .list(.message(persistentVolumeClaimCondition))),
            .pointer("healthStatus", 10, .message(volumeHealthStatus)),
        ]
    )

    private static let volumeHealthStatus = MessageSchema(
        "VolumeHealthStatus",
        [
            .field("healthConditions", 1, .list(.message(volumeHealthCondition))),
            .pointer("lastTransitionTime", 2, .time),
        ]
    )

    private static let volumeHealthCondition = MessageSchema(
        "VolumeHealthCondition",
        [
            .field("status", 1, .string),
            .field("reason", 2, .string),
            .field("message", 3, .string),
        ]
    )

    private static let persistentVolumeClaimCondition = MessageSchema(
        "PersistentVolumeClaimCondition",
        [
            .field("type", 1, .string),
            .field("status", 2, .string),
            .field("lastProbeTime", 3, .time),
            .field("lastTransitionTime", 4, .time),
            .field("reason", 5, .string),
            .field("message", 6, .string),
        ]
    )
}
