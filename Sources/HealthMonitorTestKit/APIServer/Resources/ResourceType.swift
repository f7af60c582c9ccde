// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// A kind of object that the simulated API server serves, with its rules.
struct ResourceType: Sendable, CustomStringConvertible {
    var group = ""
    var version = "v1"
    let kind: String
    let plural: String
    let singular: String
    var shortNames: [String] = []
    let isNamespaced: Bool
    let schema: MessageSchema
    /// Whether `status` is written through its subresource only.
    var hasStatus = false
    /// Whether a PUT creates a missing object.
    var allowsCreateOnUpdate = false
    /// Whether a PUT without a resourceVersion replaces the object unconditionally.
    var allowsUnconditionalUpdate = true
    /// The fields that a field selector may name besides metadata.name and metadata.namespace. Of several paths, the
    /// first that is not empty counts.
    var selectableFields: [String: [[String]]] = [:]
    var columns: [TableColumn]
    /// Values that the server fills in for missing fields.
    var defaults: [(path: [String], value: JSONValue)] = []
    /// Validates an object that a client writes.
    var validate: @Sendable (JSONValue) -> [FieldError] = { _ in [] }
    /// Fields that a client cannot change once they are set, each with its error.
    var immutableFields: [(path: [String], error: FieldError)] = []
    /// Fields behind a feature gate: while it is off, they are dropped from writes to an object without them.
    var gatedFields: [(path: [String], gate: FeatureGate)] = []

    /// `v1`, `coordination.k8s.io/v1`
    var apiVersion: String { group.isEmpty ? version : "\(group)/\(version)" }
    /// As in messages: `persistentvolumes`, `leases.coordination.k8s.io`.
    var qualifiedPlural: String { group.isEmpty ? plural : "\(plural).\(group)" }
    var description: String { qualifiedPlural }
    var subresources: [String] { hasStatus ? ["status"] : [] }

    static let all: [ResourceType] = [
        .persistentVolumes, .persistentVolumeClaims, .events, .namespaces, .pods, .nodes, .secrets, .leases,
        .csiDrivers,
    ]

    static func find(group: String, plural: String) -> ResourceType? {
        (all + [selfSubjectAccessReviews]).first { $0.group == group && $0.plural == plural }
    }

    static func find(kind: String) -> ResourceType? {
        all.first { $0.kind == kind }
    }
}

/// A feature gate of the real server.
package enum FeatureGate: String, Sendable {
    /// `status.healthStatus` of PersistentVolumeClaims; in Kubernetes 1.37, off by default.
    case csiVolumeHealth = "CSIVolumeHealth"
    /// Streaming lists: watches that begin with the present objects and mark their end (`sendInitialEvents`).
    case watchList = "WatchList"
}

// MARK: - The table

extension ResourceType {
    static let persistentVolumes = ResourceType(
        kind: "PersistentVolume",
        plural: "persistentvolumes",
        singular: "persistentvolume",
        shortNames: ["pv"],
        isNamespaced: false,
        schema: .persistentVolume,
        hasStatus: true,
        columns: .persistentVolume,
        defaults: [
            (["spec", "persistentVolumeReclaimPolicy"], "Retain"), (["spec", "volumeMode"], "Filesystem"),
            (["status", "phase"], "Pending"),
        ],
        validate: Validation.persistentVolume,
        immutableFields: [
            (["spec", "csi"], Validation.volumeSourceIsImmutable),
            (["spec", "hostPath"], Validation.volumeSourceIsImmutable),
        ]
    )

    static let persistentVolumeClaims = ResourceType(
        kind: "PersistentVolumeClaim",
        plural: "persistentvolumeclaims",
        singular: "persistentvolumeclaim",
        shortNames: ["pvc"],
        isNamespaced: true,
        schema: .persistentVolumeClaim,
        hasStatus: true,
        columns: .persistentVolumeClaim,
        defaults: [(["spec", "volumeMode"], "Filesystem"), (["status", "phase"], "Pending")],
        validate: Validation.persistentVolumeClaim,
        immutableFields: [
            (["spec", "accessModes"], Validation.claimSpecIsImmutable),
            (["spec", "volumeName"], Validation.claimSpecIsImmutable),
        ],
        gatedFields: [(["status", "healthStatus"], .csiVolumeHealth)]
    )

    static let events = ResourceType(
        kind: "Event",
        plural: "events",
        singular: "event",
        shortNames: ["ev"],
        isNamespaced: true,
        schema: .event,
        allowsCreateOnUpdate: true,
        selectableFields: [
            "involvedObject.kind": [["involvedObject", "kind"]],
            "involvedObject.namespace": [["involvedObject", "namespace"]],
            "involvedObject.name": [["involvedObject", "name"]],
            "involvedObject.uid": [["involvedObject", "uid"]],
            "involvedObject.apiVersion": [["involvedObject", "apiVersion"]],
            "involvedObject.resourceVersion": [["involvedObject", "resourceVersion"]],
            "involvedObject.fieldPath": [["involvedObject", "fieldPath"]],
            "reason": [["reason"]],
            "reportingComponent": [["reportingComponent"]],
            "source": [["source", "component"], ["reportingComponent"]],
            "type": [["type"]],
        ],
        columns: .event,
        validate: Validation.event
    )

    static let namespaces = ResourceType(
        kind: "Namespace",
        plural: "namespaces",
        singular: "namespace",
        shortNames: ["ns"],
        isNamespaced: false,
        schema: .namespace,
        hasStatus: true,
        selectableFields: ["status.phase": [["status", "phase"]]],
        columns: .namespace,
        defaults: [(["status", "phase"], "Active")]
    )

    /// k8s.io/api/storage/v1, without its spec.
    static let csiDrivers = ResourceType(
        group: "storage.k8s.io",
        kind: "CSIDriver",
        plural: "csidrivers",
        singular: "csidriver",
        isNamespaced: false,
        schema: .csiDriver,
        columns: .namespace
    )

    /// k8s.io/api/authorization/v1; never stored.
    static let selfSubjectAccessReviews = ResourceType(
        group: "authorization.k8s.io",
        kind: "SelfSubjectAccessReview",
        plural: "selfsubjectaccessreviews",
        singular: "selfsubjectaccessreview",
        isNamespaced: false,
        schema: .selfSubjectAccessReview,
        columns: .namespace
    )

    static let pods = ResourceType(
        kind: "Pod",
        plural: "pods",
        singular: "pod",
        shortNames: ["po"],
        isNamespaced: true,
        schema: .pod,
        hasStatus: true,
        selectableFields: [
            "spec.nodeName": [["spec", "nodeName"]],
            "status.phase": [["status", "phase"]],
        ],
        columns: .pod,
        defaults: [(["status", "phase"], "Pending")],
        validate: Validation.pod
    )

    static let nodes = ResourceType(
        kind: "Node",
        plural: "nodes",
        singular: "node",
        shortNames: ["no"],
        isNamespaced: false,
        schema: .node,
        hasStatus: true,
        columns: .node
    )

    static let secrets = ResourceType(
        kind: "Secret",
        plural: "secrets",
        singular: "secret",
        isNamespaced: true,
        schema: .secret,
        selectableFields: ["type": [["type"]]],
        columns: .secret,
        defaults: [(["type"], "Opaque")]
    )

    static let leases = ResourceType(
        group: "coordination.k8s.io",
        kind: "Lease",
        plural: "leases",
        singular: "lease",
        isNamespaced: true,
        schema: .lease,
        allowsCreateOnUpdate: true,
        allowsUnconditionalUpdate: false,
        columns: .lease,
        validate: Validation.lease
    )
}
