// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

// Admission of writes: normalization, defaults, validation.

extension Registry {
    /// The object without unknown fields.
    func normalized(_ type: ResourceType, _ body: JSONValue) throws(StatusError) -> JSONValue {
        do {
            return try type.schema.normalize(body)
        } catch {
            throw .badRequest(
                "\(type.kind) in version \"\(type.version)\" cannot be handled as a \(type.kind): \(error)"
            )
        }
    }

    /// Drops the fields behind disabled gates, unless the stored object has them: those can be changed and removed.
    func dropGatedFields(_ type: ResourceType, _ object: inout JSONValue, old: JSONValue? = nil) {
        for field in type.gatedFields
        where !featureGates.contains(field.gate) && old?[path: field.path] == nil {
            object[path: field.path] = nil
        }
    }

    /// The namespace is the request's; a body may leave it out, but not contradict it.
    func checkNamespace(_ type: ResourceType, _ object: inout JSONValue, _ namespace: String) throws(StatusError) {
        guard type.isNamespaced else {
            object["metadata", "namespace"] = nil
            return
        }
        guard (object["metadata", "namespace"]?.string ?? namespace) == namespace else {
            throw .badRequest(
                "the namespace of the provided object does not match the namespace sent on the request"
            )
        }
        object["metadata", "namespace"] = .string(namespace)
    }

    /// Makes a missing name from generateName, and checks the name.
    func checkName(_ type: ResourceType, _ object: inout JSONValue) throws(StatusError) {
        if object["metadata", "name"] == nil {
            guard let prefix = object["metadata", "generateName"]?.string else {
                throw .invalid(type, "", [.required("metadata.name", "name or generateName is required")])
            }
            let suffix = (0..<5).compactMap { _ in "bcdfghjklmnpqrstvwxz2456789".randomElement() }
            object["metadata", "name"] = .string(prefix + String(suffix))
        }
        let name = object["metadata", "name"]?.string ?? ""
        let errors = Validation.name(name)
        guard errors.isEmpty else { throw .invalid(type, name, errors) }
    }

    func setDefaults(_ type: ResourceType, _ object: inout JSONValue) {
        for (path, value) in type.defaults where object[path: path] == nil {
            object[path: path] = value
        }
    }

    func validate(_ type: ResourceType, _ object: JSONValue) throws(StatusError) {
        let errors = type.validate(object)
        guard errors.isEmpty else { throw .invalid(type, object["metadata", "name"]?.string ?? "", errors) }
    }
}

extension JSONValue {
    /// This list of conditions after a strategic merge patch by `type` (`patchMergeKey` in k8s.io/api, core/v1).
    func merging(conditions changes: [JSONValue]) -> JSONValue {
        var conditions = array ?? []
        for change in changes {
            let index = conditions.firstIndex { $0["type"] == change["type"] }
            switch (index, change["$patch"]) {
            case (let index?, "delete"): conditions.remove(at: index)
            case (nil, "delete"): break
            case (let index?, _): conditions[index] = conditions[index].merging(change)
            case (nil, _): conditions.append(change)
            }
        }
        return .array(conditions)
    }

    /// This value after a JSON merge patch (RFC 7386): members merge, null removes, anything else replaces.
    func merging(_ patch: JSONValue) -> JSONValue {
        guard case .object(let changes) = patch else { return patch }
        var members = object ?? [:]
        for (name, change) in changes {
            if change == .null {
                members[name] = nil
            } else {
                members[name] = (members[name] ?? .null).merging(change)
            }
        }
        return .object(members)
    }
}
