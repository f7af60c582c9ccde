// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// The encoding of a response, by the client's Accept header.
enum Representation: Sendable {
    case json
    case protobuf
    /// JSON, with objects as rows of a `metav1.Table`: what `kubectl get` prints.
    case table(includeObject: String)

    static let jsonType = "application/json"
    static let protobufType = "application/vnd.kubernetes.protobuf"

    /// The first media type of the header that the server supports; nil when it supports none of them.
    init?(accept: String, includeObject: String?) {
        for range in accept.isEmpty ? ["*/*"] : accept.split(separator: ",") {
            var parameters = range.split(separator: ";").map { $0.filter { $0 != " " } }[...]
            let type = parameters.popFirst() ?? ""
            let transformation = parameters.first { $0.hasPrefix("as=") }?.dropFirst("as=".count)
            switch (type, transformation) {
            case (Self.protobufType, nil): self = .protobuf
            case (Self.jsonType, nil), ("application/*", nil), ("*/*", nil): self = .json
            case (Self.jsonType, "Table"): self = .table(includeObject: includeObject ?? "Metadata")
            default: continue
            }
            return
        }
        return nil
    }

    var contentType: String {
        if case .protobuf = self { Self.protobufType } else { Self.jsonType }
    }

    /// For a watch, whose objects come in frames.
    var streamContentType: String {
        if case .protobuf = self { "\(Self.protobufType);stream=watch" } else { Self.jsonType }
    }
}

// MARK: - Bodies

extension Representation {
    func object(_ type: ResourceType, _ object: JSONValue, now: Timestamp) throws(SchemaError) -> [UInt8] {
        if case .table(let includeObject) = self {
            let row = Self.table(type, [object], metadata: [:], includeObject: includeObject, now: now)
            return row.serialized
        }
        return try message(type.apiVersion, type.kind, type.schema, object)
    }

    func object(_ type: ResourceType, _ object: StoredObject, now: Timestamp) throws(SchemaError) -> [UInt8] {
        if case .protobuf = self {
            return Envelope(apiVersion: type.apiVersion, kind: type.kind, raw: object.bytes).bytes
        }
        return try self.object(type, object.value(of: type), now: now)
    }

    func list(_ type: ResourceType, _ page: ObjectPage, now: Timestamp) throws(SchemaError) -> [UInt8] {
        var metadata: JSONValue = ["resourceVersion": .string(String(page.revision))]
        metadata["continue"] = page.token.map { .string($0) }
        metadata["remainingItemCount"] = page.remainingCount.map { .integer(Int64($0)) }
        let kind = "\(type.kind)List"
        if case .protobuf = self {
            let head = try MessageSchema.list(of: type.schema).encode(["metadata": metadata])
            var items = WireWriter()
            for object in page.objects { items.bytes(object.bytes, field: 2) }
            return Envelope(apiVersion: type.apiVersion, kind: kind, raw: head + items.bytes).bytes
        }
        let objects = page.objects.map { $0.value(of: type) }
        if case .table(let includeObject) = self {
            return Self.table(type, objects, metadata: metadata, includeObject: includeObject, now: now).serialized
        }
        let list: JSONValue = ["metadata": metadata, "items": .array(objects)]
        return list.typed(type.apiVersion, kind).serialized
    }

    /// One event of a watch: a frame in protobuf, a line in JSON.
    func watchEvent(
        _ change: String,
        _ type: ResourceType,
        _ object: StoredObject,
        now: Timestamp
    ) throws(SchemaError) -> [UInt8] {
        frame(change, try self.object(type, object, now: now))
    }

    /// The ERROR event of a watch.
    func watchError(_ error: StatusError) throws(SchemaError) -> [UInt8] {
        frame("ERROR", try status(error.value))
    }

    /// A `metav1.Status`.
    func status(_ value: JSONValue) throws(SchemaError) -> [UInt8] {
        try message("v1", "Status", .status, value)
    }

    private func frame(_ change: String, _ object: [UInt8]) -> [UInt8] {
        if case .protobuf = self { return WatchFrame.bytes(type: change, object: object) }
        return Array("{\"type\":\"\(change)\",\"object\":".utf8) + object + Array("}\n".utf8)
    }

    private func message(
        _ apiVersion: String,
        _ kind: String,
        _ schema: MessageSchema,
        _ value: JSONValue
    ) throws(SchemaError) -> [UInt8] {
        if case .protobuf = self {
            return Envelope(apiVersion: apiVersion, kind: kind, raw: try schema.encode(value)).bytes
        }
        return value.typed(apiVersion, kind).serialized
    }

    private static func table(
        _ type: ResourceType,
        _ objects: [JSONValue],
        metadata: JSONValue,
        includeObject: String,
        now: Timestamp
    ) -> JSONValue {
        let definitions = type.columns.map { column -> JSONValue in
            [
                "name": .string(column.name), "type": "string", "format": column.name == "Name" ? "name" : "",
                "description": "", "priority": .integer(column.priority),
            ]
        }
        let rows = objects.map { object -> JSONValue in
            var row: JSONValue = ["cells": .array(type.columns.map { $0.cell(object, now) })]
            switch includeObject {
            case "None": break
            case "Object": row["object"] = object.typed(type.apiVersion, type.kind)
            default:
                let partial: JSONValue = ["metadata": object["metadata"] ?? [:]]
                row["object"] = partial.typed("meta.k8s.io/v1", "PartialObjectMetadata")
            }
            return row
        }
        let table: JSONValue = [
            "metadata": metadata, "columnDefinitions": .array(definitions), "rows": .array(rows),
        ]
        return table.typed("meta.k8s.io/v1", "Table")
    }
}

extension JSONValue {
    /// The object with its kind and apiVersion.
    func typed(_ apiVersion: String, _ kind: String) -> JSONValue {
        var value = self
        value["apiVersion"] = .string(apiVersion)
        value["kind"] = .string(kind)
        return value
    }
}
