// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Foundation

extension MessageSchema {
    /// Encodes a JSON object of this type in protobuf.
    ///
    /// Fields come in ascending order, maps in the order of their keys, and fields that Go does not hold by pointer are
    /// written even when empty: byte for byte what the real server writes.
    ///
    /// - Throws: `SchemaError` when the value does not fit the type.
    func encode(_ value: JSONValue) throws(SchemaError) -> [UInt8] {
        guard let members = value.object else { throw SchemaError(path: "", problem: "expected an object") }
        return try encode(members)
    }

    fileprivate func encode(_ members: [String: JSONValue]) throws(SchemaError) -> [UInt8] {
        var writer = WireWriter()
        for field in fields {
            do {
                try field.encode(members, to: &writer)
            } catch {
                throw error.inside(field.name)
            }
        }
        return writer.bytes
    }
}

extension FieldSchema {
    fileprivate func encode(_ members: [String: JSONValue], to writer: inout WireWriter) throws(SchemaError) {
        switch type {
        case .inlined(let schema):
            writer.bytes(try schema.encode(members), field: number)
        case .list(let element):
            for value in members[name]?.array ?? [] {
                try element.encode(value, field: number, to: &writer)
            }
        case .map(let element):
            for (key, value) in (members[name]?.object ?? [:]).sorted(by: { $0.key < $1.key }) {
                var entry = WireWriter()
                entry.bytes(key.storedBytes, field: 1)
                try element.encode(value, field: 2, to: &entry)
                writer.bytes(entry.bytes, field: number)
            }
        default:
            if let value = members[name] {
                try type.encode(value, field: number, to: &writer)
            } else if !isPointer {
                try type.encodeEmpty(field: number, to: &writer)
            }
        }
    }
}

extension FieldType {
    fileprivate func encode(_ value: JSONValue, field: Int, to writer: inout WireWriter) throws(SchemaError) {
        switch (self, value) {
        case (.string, .string(let text)):
            writer.bytes(text.storedBytes, field: field)
        case (.int32, .integer(let number)), (.int64, .integer(let number)):
            writer.varint(UInt64(bitPattern: number), field: field)
        case (.bool, .bool(let flag)):
            writer.varint(flag ? 1 : 0, field: field)
        case (.quantity, .string(let text)):
            var quantity = WireWriter()
            quantity.bytes(text.utf8, field: 1)
            writer.bytes(quantity.bytes, field: field)
        case (.time, .string(let text)), (.microTime, .string(let text)):
            guard let time = Timestamp(text) else { throw SchemaError(path: "", problem: "\(text) is not a time") }
            var message = WireWriter()
            message.varint(UInt64(bitPattern: time.seconds), field: 1)
            message.varint(UInt64(bitPattern: Int64(time.nanoseconds)), field: 2)
            writer.bytes(message.bytes, field: field)
        case (.bytes, .string(let text)):
            guard let data = Data(base64Encoded: text) else { throw SchemaError(path: "", problem: "not base64") }
            writer.bytes(data, field: field)
        case (.message(let schema), .object):
            writer.bytes(try schema.encode(value), field: field)
        default:
            throw SchemaError(path: "", problem: "expected \(expectation), not \(value)")
        }
    }

    /// What Go writes for a field that is not held by pointer and is empty.
    fileprivate func encodeEmpty(field: Int, to writer: inout WireWriter) throws(SchemaError) {
        switch self {
        case .int32, .int64, .bool: writer.varint(0, field: field)
        case .message(let schema): writer.bytes(try schema.encode([:]), field: field)
        default: writer.bytes([], field: field)
        }
    }
}
