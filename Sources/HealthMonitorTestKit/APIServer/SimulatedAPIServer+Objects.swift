// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

// Objects as a test creates, changes and reads them. None of this is in the journal.

extension SimulatedAPIServer {
    /// Stores an object of any `kind` with its status; only names and types are checked. Missing uid, creationTimestamp
    /// and defaults are filled in.
    ///
    /// - Parameter raw: further protobuf fields, which protobuf lists and watches repeat byte for byte until the object
    ///   changes, and which nothing else of this server reads. The real server stores any bytes where a text should be
    ///   (gogo's `Unmarshal` does not check for UTF-8).
    /// - Throws: `StatusError`, as a client would get it.
    @discardableResult
    package func create(_ object: JSONValue, appending raw: [UInt8] = []) throws(StatusError) -> JSONValue {
        let type = try type(of: object)
        return try cluster.access { registry, now throws(StatusError) in
            try registry.create(
                type,
                object,
                namespace: namespace(of: object, type),
                as: .test,
                appending: raw,
                now: now
            )
        }
    }

    /// Replaces an object and its status.
    @discardableResult
    package func update(_ object: JSONValue) throws(StatusError) -> JSONValue {
        let type = try type(of: object)
        let name = object["metadata", "name"]?.string ?? ""
        return try cluster.access { registry, now throws(StatusError) in
            try registry.update(type, object, namespace: namespace(of: object, type), name: name, as: .test, now: now)
        }
    }

    /// Applies a JSON merge patch to an object and its status.
    @discardableResult
    package func patch(
        kind: String,
        namespace: String = "",
        name: String,
        _ patch: JSONValue
    ) throws(StatusError) -> JSONValue {
        let type = try type(named: kind)
        return try cluster.access { registry, now throws(StatusError) in
            try registry.patch(type, patch, namespace: namespace, name: name, as: .test, now: now)
        }
    }

    /// Deletes an object, or sets its deletionTimestamp while it has finalizers, or in a Pod with a grace period.
    ///
    /// - Parameter gracePeriod: of a Pod, in seconds.
    package func delete(
        kind: String,
        namespace: String = "",
        name: String,
        gracePeriod: Int64 = 0
    ) throws(StatusError) {
        let type = try type(named: kind)
        _ = try cluster.access { registry, now throws(StatusError) in
            try registry.delete(type, namespace: namespace, name: name, gracePeriod: gracePeriod, now: now)
        }
    }

    /// An object; nil when there is none.
    package func object(kind: String, namespace: String = "", name: String) throws(StatusError) -> JSONValue? {
        let type = try type(named: kind)
        return try cluster.access { registry, _ throws(StatusError) in
            registry.store.object(type, ObjectKey(namespace: namespace, name: name))
        }
    }

    /// The objects of a kind, of all namespaces or of one, sorted by name.
    package func objects(kind: String, namespace: String? = nil) throws(StatusError) -> [JSONValue] {
        let type = try type(named: kind)
        return try cluster.access { registry, _ throws(StatusError) in
            registry.list(type, namespace: namespace, selector: .everything).map { $0.value(of: type) }
        }
    }

    private func type(of object: JSONValue) throws(StatusError) -> ResourceType {
        try type(named: object["kind"]?.string ?? "")
    }

    private func type(named kind: String) throws(StatusError) -> ResourceType {
        guard let type = ResourceType.find(kind: kind) else {
            throw .badRequest("the simulated server does not serve the kind \"\(kind)\"")
        }
        return type
    }

    /// An object's namespace; by default `default`.
    private func namespace(of object: JSONValue, _ type: ResourceType) -> String {
        type.isNamespaced ? object["metadata", "namespace"]?.string ?? "default" : ""
    }
}
