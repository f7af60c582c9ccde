// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Foundation

/// The API's rules on top of the store: names, uids, preconditions, subresources, defaults, validation, finalizers.
///
/// A value; the time of a change is passed in. Source: k8s.io/apiserver, pkg/registry.
struct Registry: Sendable {
    /// Decides which rules apply to a write.
    enum Writer: Sendable {
        /// A client over HTTP: everything is checked, and status is written through its subresource only.
        case client
        /// A test: only the types of fields are checked, and status is stored too.
        case test
    }

    private(set) var store = ObjectStore()
    var featureGates: Set<FeatureGate> = [.csiVolumeHealth, .watchList]
    private var pages = PageSnapshots()

    /// An empty cluster with the namespaces default and kube-system.
    init(now: Timestamp) throws(StatusError) {
        for name in ["default", "kube-system"] {
            _ = try create(.namespaces, ["metadata": ["name": .string(name)]], namespace: "", as: .test, now: now)
        }
    }

    mutating func compact() {
        store.compact()
        pages.removeAll()
    }

    // MARK: Reading

    func get(_ type: ResourceType, namespace: String, name: String) throws(StatusError) -> JSONValue {
        guard let object = store.object(type, ObjectKey(namespace: namespace, name: name)) else {
            throw .notFound(type, name)
        }
        return object
    }

    /// The selected objects of a type, of all namespaces or of one.
    mutating func list(_ type: ResourceType, namespace: String?, selector: Selector) -> [StoredObject] {
        let objects = store.objects(type, namespace: namespace)
        return selector.isEmpty ? objects : objects.filter { selector.matches($0.value(of: type)) }
    }

    /// At most `limit` of the selected objects; the page's token leads to the rest at the same revision.
    mutating func firstPage(
        _ type: ResourceType,
        namespace: String?,
        selector: Selector,
        limit: Int
    ) -> ObjectPage {
        let objects = list(type, namespace: namespace, selector: selector)
        return pages.firstPage(of: objects, revision: store.revision, limit: limit, isSelection: !selector.isEmpty)
    }

    mutating func nextPage(token: String, limit: Int) throws(StatusError) -> ObjectPage {
        try pages.nextPage(token: token, limit: limit)
    }

    // MARK: Writing

    mutating func create(
        _ type: ResourceType,
        _ body: JSONValue,
        namespace: String,
        as writer: Writer,
        appending raw: [UInt8] = [],
        now: Timestamp
    ) throws(StatusError) -> JSONValue {
        var object = try normalized(type, body)
        try checkNamespace(type, &object, namespace)
        guard object["metadata", "resourceVersion"] == nil || writer == .test else {
            throw StatusError(
                code: 500,
                reason: "",
                message: "resourceVersion should not be set on objects to be created"
            )
        }
        try checkName(type, &object)
        let key = ObjectKey(namespace: namespace, name: object["metadata", "name"]?.string ?? "")
        guard store.object(type, key) == nil else { throw .alreadyExists(type, key.name) }
        if type.isNamespaced, store.object(.namespaces, ObjectKey(namespace: "", name: namespace)) == nil {
            throw .notFound(.namespaces, namespace)
        }
        if writer == .client {
            if type.hasStatus { object["status"] = nil }
            object["metadata", "uid"] = nil
            object["metadata", "creationTimestamp"] = nil
            object["metadata", "deletionTimestamp"] = nil
        }
        object["metadata", "uid"] = object["metadata", "uid"] ?? .string(UUID().uuidString.lowercased())
        object["metadata", "creationTimestamp"] = object["metadata", "creationTimestamp"] ?? .string(now.text)
        dropGatedFields(type, &object)
        setDefaults(type, &object)
        if writer == .client { try validate(type, object) }
        return try store.put(type, key, object, appending: raw)
    }

    /// Replaces an object, or its status.
    mutating func update(
        _ type: ResourceType,
        _ body: JSONValue,
        namespace: String,
        name: String,
        subresource: String? = nil,
        as writer: Writer,
        now: Timestamp
    ) throws(StatusError) -> JSONValue {
        var object = try normalized(type, body)
        try checkNamespace(type, &object, namespace)
        let bodyName = object["metadata", "name"]?.string ?? name
        guard bodyName == name else {
            throw .badRequest(
                "the name of the object (\(bodyName)) does not match the name on the URL (\(name))"
            )
        }
        let key = ObjectKey(namespace: namespace, name: name)
        guard let old = store.object(type, key) else {
            guard type.allowsCreateOnUpdate, subresource == nil else { throw .notFound(type, name) }
            return try create(type, body, namespace: namespace, as: writer, now: now)
        }
        if let uid = object["metadata", "uid"], uid != old["metadata", "uid"] {
            let found = old["metadata", "uid"]?.string ?? ""
            throw .conflict(
                type,
                name,
                "Precondition failed: UID in precondition: \(uid.string ?? ""), UID in object meta: \(found)"
            )
        }
        return try replace(type, key, old: old, with: &object, subresource: subresource, as: writer, now: now)
    }

    /// Applies a JSON merge patch (RFC 7386) to an object, or to its status.
    ///
    /// metadata.resourceVersion in the patch is a precondition (409); so is metadata.uid (422: the field is immutable).
    ///
    /// - Parameter mergingLists: whether it is a strategic merge patch; the only difference here is that elements of
    ///   `status.conditions` are merged by type.
    mutating func patch(
        _ type: ResourceType,
        _ patch: JSONValue,
        mergingLists: Bool = false,
        namespace: String,
        name: String,
        subresource: String? = nil,
        as writer: Writer,
        now: Timestamp
    ) throws(StatusError) -> JSONValue {
        let key = ObjectKey(namespace: namespace, name: name)
        guard let old = store.object(type, key) else { throw .notFound(type, name) }
        var patch = patch
        if mergingLists, let changes = patch["status", "conditions"]?.array {
            patch["status", "conditions"] = (old["status", "conditions"] ?? .array([])).merging(conditions: changes)
        }
        var object = try normalized(type, old.merging(patch))
        try checkNamespace(type, &object, namespace)
        return try replace(type, key, old: old, with: &object, subresource: subresource, as: writer, now: now)
    }

    private mutating func replace(
        _ type: ResourceType,
        _ key: ObjectKey,
        old: JSONValue,
        with object: inout JSONValue,
        subresource: String?,
        as writer: Writer,
        now: Timestamp
    ) throws(StatusError) -> JSONValue {
        if let version = object["metadata", "resourceVersion"] {
            guard version == old["metadata", "resourceVersion"] else { throw .stale(type, key.name) }
        } else if !type.allowsUnconditionalUpdate, writer == .client {
            throw .invalid(type, key.name, [.invalid("metadata.resourceVersion", 0, "must be specified for an update")])
        }
        if let uid = object["metadata", "uid"], uid != old["metadata", "uid"] {
            throw .invalid(type, key.name, [.invalid("metadata.uid", uid, "field is immutable")])
        }
        if subresource == "status" {
            // PrepareForUpdate of podStatusStrategy (pkg/registry/core/pod/strategy.go) and its siblings: a write of the
            // status may change labels and annotations too.
            object["spec"] = old["spec"]
            object["metadata", "ownerReferences"] = old["metadata", "ownerReferences"]
        } else if type.hasStatus, writer == .client {
            object["status"] = old["status"]
        }
        for field in [
            "name", "uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "resourceVersion",
        ] {
            object["metadata", field] = old["metadata", field]
        }
        let given = object
        dropGatedFields(type, &object, old: old)
        // A dropped field still changes managedFields, as observed on 1.37 with the gate off.
        let changesManagedFields = object != given
        setDefaults(type, &object)
        guard object != old || changesManagedFields else { return old }
        if writer == .client {
            try validate(type, object)
            let changed = type.immutableFields.filter { field in
                let value = old[path: field.path]
                return value != nil && value != object[path: field.path]
            }
            guard changed.isEmpty else { throw .invalid(type, key.name, changed.map(\.error)) }
        }
        let isLastFinalizerGone =
            object["metadata", "deletionTimestamp"] != nil && object["metadata", "finalizers"] == nil
            // `ShouldDeleteDuringUpdate` in k8s.io/apiserver, pkg/registry/generic/registry/store.go
            && (object["metadata", "deletionGracePeriodSeconds"]?.integer ?? 0) == 0
        let stored = try store.put(type, key, object)
        if isLastFinalizerGone { store.remove(type, key) }
        return stored
    }

    /// Deletes an object, or sets its deletionTimestamp while it has finalizers or a grace period. Deleting a namespace
    /// deletes its objects.
    ///
    /// - Parameter gracePeriod: in seconds, of a Pod; nil for the one in its spec. Unlike in the real server, that has
    ///   no default, because no kubelet ends the Pod.
    /// - Returns: the object as it was deleted, or as it is now.
    mutating func delete(
        _ type: ResourceType,
        namespace: String,
        name: String,
        preconditions: JSONValue? = nil,
        gracePeriod: Int64? = nil,
        now: Timestamp
    ) throws(StatusError) -> (object: JSONValue, isGone: Bool) {
        let key = ObjectKey(namespace: namespace, name: name)
        guard var object = store.object(type, key) else { throw .notFound(type, name) }
        for (field, title) in [("uid", "UID"), ("resourceVersion", "ResourceVersion")] {
            if let expected = preconditions?[field], let found = object["metadata", field], expected != found {
                throw .conflict(
                    type,
                    name,
                    "the \(title) in the precondition (\(expected.string ?? "")) does not match the \(title) in record "
                        + "(\(found.string ?? ""))."
                )
            }
        }
        let period = Self.gracePeriod(of: type, object, requested: gracePeriod)
        if period > 0 || object["metadata", "finalizers"] != nil {
            if object["metadata", "deletionTimestamp"] == nil {
                object["metadata", "deletionTimestamp"] = .string(Timestamp(seconds: now.seconds + period).text)
                object["metadata", "deletionGracePeriodSeconds"] = .integer(period)
                object = try store.put(type, key, object)
            }
            return (object, isGone: false)
        }
        if type.plural == ResourceType.namespaces.plural {
            for inner in ResourceType.all where inner.isNamespaced {
                for object in store.objects(inner, namespace: name) {
                    let name = object.value(of: inner)["metadata", "name"]?.string ?? ""
                    store.remove(inner, ObjectKey(namespace: key.name, name: name))
                }
            }
        }
        store.remove(type, key)
        return (object, isGone: true)
    }

    /// The seconds until a deleted object may be removed. Source: CheckGracefulDelete (pkg/registry/core/pod/strategy.go).
    private static func gracePeriod(of type: ResourceType, _ object: JSONValue, requested: Int64?) -> Int64 {
        let hasEnded = ["Succeeded", "Failed"].contains(object["status", "phase"]?.string ?? "")
        guard type.kind == ResourceType.pods.kind, object["spec", "nodeName"] != nil, !hasEnded else { return 0 }
        return requested ?? object["spec", "terminationGracePeriodSeconds"]?.integer ?? 0
    }
}
