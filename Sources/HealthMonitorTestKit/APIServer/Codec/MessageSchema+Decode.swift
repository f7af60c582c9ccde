// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Foundation

extension MessageSchema {
    /// Decodes a message of this type from protobuf to JSON; unknown fields are dropped.
    func decode(_ bytes: ArraySlice<UInt8>) throws(SchemaError) -> JSONValue {
        var members: [String: JSONValue] = [:]
        try decode(bytes, into: &members)
        return .object(members)
    }

    private func decode(_ bytes: ArraySlice<UInt8>, into members: inout [String: JSONValue]) throws(SchemaError) {
        var reader = WireReader(bytes)
        while let (number, content) = try reader.next() {
            guard let field = field(number: number) else { continue }
            do {
                if case .inlined(let schema) = field.type {
                    try schema.decode(try content.bytes(), into: &members)
                } else {
                    try field.decode(content, into: &members)
                }
            } catch {
                throw error.inside(field.name)
            }
        }
    }
}

extension FieldSchema {
    fileprivate func decode(
        _ content: WireReader.Content,
        into members: inout [String: JSONValue]
    ) throws(SchemaError) {
        switch type {
        case .list(let element):
            var list = members.removeValue(forKey: name)?.array ?? []
            list.append(try element.decode(content) ?? .object([:]))
            members[name] = .array(list)
        case .map(let element):
            let (key, value) = try element.decodeEntry(try content.bytes())
            var map = members.removeValue(forKey: name)?.object ?? [:]
            map[key] = value
            members[name] = .object(map)
        default:
            let value = try type.decode(content)
            members[name] = isPointer || value?.isEmpty == false ? value : nil
        }
    }
}

extension FieldType {
    /// The value; nil for a time that is not set, which JSON leaves out.
    fileprivate func decode(_ content: WireReader.Content) throws(SchemaError) -> JSONValue? {
        switch self {
        case .string: .string(try content.text())
        case .int32: .integer(Int64(Int32(truncatingIfNeeded: try content.varint())))
        case .int64: .integer(Int64(bitPattern: try content.varint()))
        case .bool: .bool(try content.varint() != 0)
        case .bytes: .string(Data(try content.bytes()).base64EncodedString())
        case .quantity: try FieldType.decodeQuantity(try content.bytes())
        case .time: try FieldType.decodeTime(try content.bytes()).map { .string($0.text) }
        case .microTime: try FieldType.decodeTime(try content.bytes()).map { .string($0.microsecondText) }
        case .message(let schema): try schema.decode(try content.bytes())
        case .inlined, .list, .map: preconditionFailure("FieldSchema decodes these")
        }
    }

    private static func decodeQuantity(_ bytes: ArraySlice<UInt8>) throws(SchemaError) -> JSONValue {
        var reader = WireReader(bytes)
        var text = "0"
        while let (number, content) = try reader.next() {
            if number == 1 { text = try content.text() }
        }
        return .string(text)
    }

    private static func decodeTime(_ bytes: ArraySlice<UInt8>) throws(SchemaError) -> Timestamp? {
        guard !bytes.isEmpty else { return nil }
        var reader = WireReader(bytes)
        var time = Timestamp(seconds: 0)
        while let (number, content) = try reader.next() {
            switch number {
            case 1: time.seconds = Int64(bitPattern: try content.varint())
            case 2: time.nanoseconds = Int32(truncatingIfNeeded: try content.varint())
            default: break
            }
        }
        return time
    }

    fileprivate func decodeEntry(_ bytes: ArraySlice<UInt8>) throws(SchemaError) -> (String, JSONValue) {
        var reader = WireReader(bytes)
        var key = ""
        var value: JSONValue?
        while let (number, content) = try reader.next() {
            switch number {
            case 1: key = try content.text()
            case 2: value = try decode(content)
            default: break
            }
        }
        return (key, value ?? .string(""))
    }
}

extension WireReader.Content {
    fileprivate func varint() throws(SchemaError) -> UInt64 {
        guard case .varint(let value) = self else { throw SchemaError(path: "", problem: "proto: expected a varint") }
        return value
    }

    fileprivate func bytes() throws(SchemaError) -> ArraySlice<UInt8> {
        guard case .bytes(let value) = self else { throw SchemaError(path: "", problem: "proto: expected bytes") }
        return value
    }

    fileprivate func text() throws(SchemaError) -> String {
        String(storedBytes: try bytes())
    }
}
