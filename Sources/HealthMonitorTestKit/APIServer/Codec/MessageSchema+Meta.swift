// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

// k8s.io/apimachinery/pkg/apis/meta/v1/generated.proto

extension MessageSchema {
    static let objectMeta = MessageSchema(
        "ObjectMeta",
        [
            .field("name", 1, .string),
            .field("generateName", 2, .string),
            .field("namespace", 3, .string),
            .field("selfLink", 4, .string),
            .field("uid", 5, .string),
            .field("resourceVersion", 6, .string),
            .field("generation", 7, .int64),
            .field("creationTimestamp", 8, .time),
            .pointer("deletionTimestamp", 9, .time),
            .pointer("deletionGracePeriodSeconds", 10, .int64),
            .field("labels", 11, .map(.string)),
            .field("annotations", 12, .map(.string)),
            .field("ownerReferences", 13, .list(.message(ownerReference))),
            .field("finalizers", 14, .list(.string)),
        ]
    )

    static let ownerReference = MessageSchema(
        "OwnerReference",
        [
            .field("kind", 1, .string),
            .field("name", 3, .string),
            .field("uid", 4, .string),
            .field("apiVersion", 5, .string),
            .pointer("controller", 6, .bool),
            .pointer("blockOwnerDeletion", 7, .bool),
        ]
    )

    static let listMeta = MessageSchema(
        "ListMeta",
        [
            .field("selfLink", 1, .string),
            .field("resourceVersion", 2, .string),
            .field("continue", 3, .string),
            .pointer("remainingItemCount", 4, .int64),
        ]
    )

    /// The list type of a kind; all have these two fields.
    static func list(of item: MessageSchema) -> MessageSchema {
        MessageSchema(
            item.name + "List",
            [
                .field("metadata", 1, .message(listMeta)),
                .field("items", 2, .list(.message(item))),
            ]
        )
    }

    static let status = MessageSchema(
        "Status",
        [
            .field("metadata", 1, .message(listMeta)),
            .field("status", 2, .string),
            .field("message", 3, .string),
            .field("reason", 4, .string),
            .pointer("details", 5, .message(statusDetails)),
            .field("code", 6, .int32),
        ]
    )

    private static let statusDetails = MessageSchema(
        "StatusDetails",
        [
            .field("name", 1, .string),
            .field("group", 2, .string),
            .field("kind", 3, .string),
            .field("causes", 4, .list(.message(statusCause))),
            .field("retryAfterSeconds", 5, .int32),
            .field("uid", 6, .string),
        ]
    )

    private static let statusCause = MessageSchema(
        "StatusCause",
        [
            .field("reason", 1, .string),
            .field("message", 2, .string),
            .field("field", 3, .string),
        ]
    )

    /// Trimmed to the fields that the server supports.
    static let deleteOptions = MessageSchema(
        "DeleteOptions",
        [
            .pointer("gracePeriodSeconds", 1, .int64),
            .pointer("preconditions", 2, .message(preconditions)),
        ]
    )

    private static let preconditions = MessageSchema(
        "Preconditions",
        [
            .pointer("uid", 1, .string),
            .pointer("resourceVersion", 2, .string),
        ]
    )

    static let labelSelector = MessageSchema(
        "LabelSelector",
        [
            .field("matchLabels", 1, .map(.string)),
            .field("matchExpressions", 2, .list(.message(selectorRequirement))),
        ]
    )

    /// `LabelSelectorRequirement` and `NodeSelectorRequirement`, which have the same fields.
    static let selectorRequirement = MessageSchema(
        "SelectorRequirement",
        [
            .field("key", 1, .string),
            .field("operator", 2, .string),
            .field("values", 3, .list(.string)),
        ]
    )
}
