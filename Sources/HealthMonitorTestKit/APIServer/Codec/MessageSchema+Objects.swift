// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

// k8s.io/api/core/v1/generated.proto: events, namespaces, nodes and secrets; coordination/v1/generated.proto:
// leases

extension MessageSchema {
    // MARK: Event

    static let event = MessageSchema(
        "Event",
        [
            .field("metadata", 1, .message(objectMeta)),
            .field("involvedObject", 2, .message(objectReference)),
            .field("reason", 3, .string),
            .field("message", 4, .string),
            .field("source", 5, .message(eventSource)),
            .field("firstTimestamp", 6, .time),
            .field("lastTimestamp", 7, .time),
            .field("count", 8, .int32),
            .field("type", 9, .string),
            .field("eventTime", 10, .microTime),
            .pointer("series", 11, .message(eventSeries)),
            .field("action", 12, .string),
            .pointer("related", 13, .message(objectReference)),
            .field("reportingComponent", 14, .string),
            .field("reportingInstance", 15, .string),
        ]
    )

    private static let eventSource = MessageSchema(
        "EventSource",
        [
            .field("component", 1, .string),
            .field("host", 2, .string),
        ]
    )

    private static let eventSeries = MessageSchema(
        "EventSeries",
        [
            .field("count", 1, .int32),
            .field("lastObservedTime", 2, .microTime),
        ]
    )

    // MARK: Lease

    static let lease = MessageSchema(
        "Lease",
        [
            .field("metadata", 1, .message(objectMeta)),
            .field("spec", 2, .message(leaseSpec)),
        ]
    )

    private static let leaseSpec = MessageSchema(
        "LeaseSpec",
        [
            .pointer("holderIdentity", 1, .string),
            .pointer("leaseDurationSeconds", 2, .int32),
            .pointer("acquireTime", 3, .microTime),
            .pointer("renewTime", 4, .microTime),
            .pointer("leaseTransitions", 5, .int32),
            .pointer("strategy", 6, .string),
            .pointer("preferredHolder", 7, .string),
        ]
    )

    // MARK: Namespace

    static let namespace = MessageSchema(
        "Namespace",
        [
            .field("metadata", 1, .message(objectMeta)),
            .field("spec", 2, .message(namespaceSpec)),
            .field("status", 3, .message(namespaceStatus)),
        ]
    )

    private static let namespaceSpec = MessageSchema(
        "NamespaceSpec",
        [.field("finalizers", 1, .list(.string))]
    )

    private static let namespaceStatus = MessageSchema(
        "NamespaceStatus",
        [.field("phase", 1, .string)]
    )

    // MARK: CSIDriver, trimmed to its metadata

    static let csiDriver = MessageSchema("CSIDriver", [.field("metadata", 1, .message(objectMeta))])

    // MARK: SelfSubjectAccessReview, authorization/v1/generated.proto

    static let selfSubjectAccessReview = MessageSchema(
        "SelfSubjectAccessReview",
        [
            .field("metadata", 1, .message(objectMeta)),
            .field("spec", 2, .message(selfSubjectAccessReviewSpec)),
            .field("status", 3, .message(subjectAccessReviewStatus)),
        ]
    )

    private static let selfSubjectAccessReviewSpec = MessageSchema(
        "SelfSubjectAccessReviewSpec",
        [.pointer("resourceAttributes", 1, .message(resourceAttributes))]
    )

    private static let resourceAttributes = MessageSchema(
        "ResourceAttributes",
        [
            .field("namespace", 1, .string),
            .field("verb", 2, .string),
            .field("group", 3, .string),
            .field("version", 4, .string),
            .field("resource", 5, .string),
            .field("subresource", 6, .string),
            .field("name", 7, .string),
        ]
    )

    private static let subjectAccessReviewStatus = MessageSchema(
        "SubjectAccessReviewStatus",
        [
            .field("allowed", 1, .bool),
            .field("reason", 2, .string),
        ]
    )

    // MARK: Node, trimmed to whether it is ready and schedulable

    static let node = MessageSchema(
        "Node",
        [
            .field("metadata", 1, .message(objectMeta)),
            .field("spec", 2, .message(nodeSpec)),
            .field("status", 3, .message(nodeStatus)),
        ]
    )

    private static let nodeSpec = MessageSchema(
        "NodeSpec",
        [
            .field("providerID", 3, .string),
            .field("unschedulable", 4, .bool),
        ]
    )

    private static let nodeStatus = MessageSchema(
        "NodeStatus",
        [.field("conditions", 4, .list(.message(nodeCondition)))]
    )

    private static let nodeCondition = MessageSchema(
        "NodeCondition",
        [
            .field("type", 1, .string),
            .field("status", 2, .string),
            .field("lastHeartbeatTime", 3, .time),
            .field("lastTransitionTime", 4, .time),
            .field("reason", 5, .string),
            .field("message", 6, .string),
        ]
    )

    // MARK: Secret

    static let secret = MessageSchema(
        "Secret",
        [
            .field("metadata", 1, .message(objectMeta)),
            .field("data", 2, .map(.bytes)),
            .field("type", 3, .string),
        ]
    )
}
