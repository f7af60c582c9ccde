// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Foundation

extension MessageSchema {
    /// The canonical form of a JSON object: unknown fields and all empty fields but pointers are dropped, times and
    /// quantities are in the server's format.
    ///
    /// - Throws: `SchemaError` when a value has another type than its field.
    func normalize(_ value: JSONValue) throws(SchemaError) -> JSONValue {
        guard let members = value.object else {
            throw SchemaError(path: "", problem: "expected an object, not \(value)")
        }
        var normalized: [String: JSONValue] = [:]
        try normalize(members, into: &normalized)
        return .object(normalized)
    }

    private func normalize(
        _ members: [String: JSONValue],
        into normalized: inout [String: JSONValue]
    ) throws(SchemaError) {
        for field in fields {
            if case .inlined(let schema) = field.type {
                try schema.normalize(members, into: &normalized)
                continue
            }
            guard let value = members[field.name], value != .null else { continue }
            do {
                let result = try field.type.normalize(value)
                if field.isPointer || !result.isEmpty {
                    normalized[field.name] = result
                }
            } catch {
                throw error.inside(field.name)
            }
        }
    }
}

extension FieldType {
    fileprivate func normalize(_ value: JSONValue) throws(SchemaError) -> JSONValue {
        switch (self, value) {
        case (.string, .string), (.bool, .bool), (.int64, .integer), (.quantity, .string):
            return value
        case (.int32, .integer(let number)) where Int32(exactly: number) != nil:
            return value
        case (.quantity, .integer(let number)):
            return .string(String(number))
        case (.time, .string(let text)):
            if let time = Timestamp(text) { return .string(time.text) }
        case (.microTime, .string(let text)):
            if let time = Timestamp(text) { return .string(time.microsecondText) }
        case (.bytes, .string(let text)):
            if Data(base64Encoded: text) != nil { return value }
        case (.message(let schema), .object):
            return try schema.normalize(value)
        case (.list(let element), .array(let values)):
            var list: [JSONValue] = []
            for value in values { list.append(try element.normalize(value)) }
            return .array(list)
        case (.map(let element), .object(let members)):
            var map: [String: JSONValue] = [:]
            for (key, value) in members {
                do {
                    map[key] = try element.normalize(value)
                } catch {
                    throw error.inside(key)
                }
            }
            return .object(map)
        default:
            break
        }
        throw SchemaError(path: "", problem: "expected \(expectation), not \(value)")
    }

    /// For the error about a value of another type.
    var expectation: String {
        switch self {
        case .string: "a string"
        case .int32: "an integer of 32 bits"
        case .int64: "an integer"
        case .bool: "a boolean"
        case .bytes: "a string in base64"
        case .quantity: "a quantity"
        case .time, .microTime: "a time in RFC 3339"
        case .message, .inlined, .map: "an object"
        case .list: "an array"
        }
    }
}

extension JSONValue {
    /// Whether the value is the zero value of its type.
    var isEmpty: Bool {
        switch self {
        case .null: true
        case .bool(let value): !value
        case .integer(let value): value == 0
        case .number(let value): value == 0
        case .string(let value): value.isEmpty
        case .array(let value): value.isEmpty
        case .object(let value): value.isEmpty
        }
    }
}
