// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

// The objects of a simulated API server, for the test that sets the scene and looks at the outcome. None of this is in
// the journal.

extension SimulatedAPIServer {
    /// Stores an object, reported by its `kind`, as it is: its status is kept, and only names and types are checked. What is
    /// missing of uid, creationTimestamp and defaults is filled in.
    ///
    /// - Parameter raw: more fields of its protobuf, which stand in lists and watches in protobuf byte for byte until the
    ///   object changes; nothing else of this server sees them. The real server stores any bytes where a text should be
    ///   (gogo's `Unmarshal` does not look for UTF-8), and does not look at all texts either.
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

    /// Replaces an object, status and all.
    @discardableResult
    package func update(_ object: JSONValue) throws(StatusError) -> JSONValue {
        let type = try type(of: object)
        let name = object["metadata", "name"]?.string ?? ""
        return try cluster.access { registry, now throws(StatusError) in
            try registry.update(type, object, namespace: namespace(of: object, type), name: name, as: .test, now: now)
        }
    }

    /// Applies a JSON merge patch to an object, status and all.
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

    /// Deletes an object, or marks it as being deleted while it has finalizers.
    package func delete(kind: String, namespace: String = "", name: String) throws(StatusError) {
        let type = try type(named: kind)
        _ = try cluster.access { registry, now throws(StatusError) in
            try registry.delete(type, namespace: namespace, name: name, now: now)
        }
    }

    /// An object; nil when there is none.
    package func object(kind: String, namespace: String = "", name: String) throws(StatusError) -> JSONValue? {
        let type = try type(named: kind)
        return try cluster.access { registry, _ throws(StatusError) in
            registry.store.object(type, ObjectKey(namespace: namespace, name: name))
        }
    }

    /// The objects of a kind, of all namespaces or of one, in the order of their names.
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
            throw .badRequest("the simulated server serves no kind \"\(kind)\"")
        }
        return type
    }

    /// An object's namespace; default for one that names none.
    private func namespace(of object: JSONValue, _ type: ResourceType) -> String {
        type.isNamespaced ? object["metadata", "namespace"]?.string ?? "default" : ""
    }
}
