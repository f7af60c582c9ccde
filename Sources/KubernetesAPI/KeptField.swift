// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import ProtobufWire
import SwiftProtobuf

/// A field to keep of an object's protobuf, before a generated message decodes it.
///
/// Generated messages reject strings that are not valid UTF-8. The API server does not validate all strings
/// (annotations, an event's message, a claim's name in a pod) and stores what a client has sent in protobuf: any client
/// that may create an object could make it unreadable, and a list with it.
enum KeptField: Sendable {
    /// Invalid UTF-8 becomes U+FFFD; a string of more than `limit` bytes becomes empty.
    case text(limit: Int)
    /// A text that is kept as it is: the generated message rejects invalid UTF-8, and more than `limit` bytes are an
    /// error.
    case validText(limit: Int)
    /// Bytes of any length.
    case bytes
    case number
    case message([Int: KeptField])

    /// A name, a namespace, a uid or a resourceVersion.
    static let name = text(limit: 253)
    /// The type of a condition, or the key of a label or an annotation: a prefix of at most 253 bytes, a slash, and a
    /// name of at most 63.
    static let qualifiedName = text(limit: 317)
    /// A `metav1.Time`.
    static let time = message([1: .number, 2: .number])
}

extension [Int: KeptField] {
    /// The message reduced to these fields, with valid strings.
    ///
    /// - Throws: if the bytes, or those of an embedded message that is kept, are not a message.
    func kept(of bytes: Span<UInt8>) throws(WireFormatError) -> [UInt8] {
        var kept: [UInt8] = []
        var reader = WireReader()
        var start = reader.position
        while let field = try reader.next(in: bytes) {
            defer { start = reader.position }
            switch self[field.number] {
            case .text(let limit):
                guard field.message != nil else { continue }
                var text = ""
                field.readRepaired(&text, upTo: limit, in: bytes)
                kept += WireField.header(number: field.number, length: text.utf8.count)
                kept += text.utf8
            case .validText(let limit):
                guard field.message != nil else { continue }
                var text = ""
                try field.read(&text, upTo: limit, in: bytes)
                for index in start..<reader.position { kept.append(bytes[index]) }
            case .bytes:
                guard field.message != nil else { continue }
                for index in start..<reader.position { kept.append(bytes[index]) }
            case .number:
                guard field.integer != nil else { continue }
                for index in start..<reader.position { kept.append(bytes[index]) }
            case .message(let fields):
                guard let content = field.message else { continue }
                let message = try fields.kept(of: bytes.extracting(content))
                kept += WireField.header(number: field.number, length: message.count)
                kept += message
            case nil: continue
            }
        }
        return kept
    }

    /// The fields of a message that are not among these, byte for byte.
    ///
    /// - Throws: if the bytes are not a message.
    func others(of bytes: Span<UInt8>) throws(WireFormatError) -> [UInt8] {
        var others: [UInt8] = []
        var reader = WireReader()
        var start = reader.position
        while let field = try reader.next(in: bytes) {
            defer { start = reader.position }
            guard self[field.number] == nil else { continue }
            for index in start..<reader.position { others.append(bytes[index]) }
        }
        return others
    }
}

// MARK: - Objects

// Field numbers: Protos/kubernetes/core.proto, coordination.proto and meta.proto.

extension Event {
    /// Reads the fields that say which event was recorded, on which object and when.
    ///
    /// - Throws: if the bytes are not a message.
    package init(reading bytes: Span<UInt8>) throws {
        self = try Self(keeping: Self.kept, of: bytes)
    }

    private static let kept: [Int: KeptField] = [
        1: .metadata,
        2: .message([1: .name, 2: .name, 3: .name, 4: .name]),
        3: .name,
        4: .text(limit: .max),
        6: .time,
        7: .time,
        8: .number,
        9: .name,
    ]
}

extension Lease {
    /// Reads the name, the labels and the spec.
    ///
    /// - Throws: if the bytes are not a message.
    package init(reading bytes: Span<UInt8>) throws {
        self = try Self(keeping: Self.kept, of: bytes)
    }

    private static let kept: [Int: KeptField] = [
        1: .message([1: .name, 3: .name, 5: .name, 6: .name, 11: .label]),
        2: .message(spec),
    ]
    /// A holder of any length: one that was read as empty would be none.
    static let spec: [Int: KeptField] = [1: .text(limit: .max), 2: .number, 3: .time, 4: .time, 5: .number]
}

extension Node {
    /// Reads the name, the labels and the conditions.
    ///
    /// - Throws: if the bytes are not a message.
    package init(reading bytes: Span<UInt8>) throws {
        self = try Self(keeping: Self.kept, of: bytes)
    }

    private static let kept: [Int: KeptField] = [
        1: .message([1: .name, 3: .name, 5: .name, 6: .name, 11: .label]),
        3: .message([4: .message([1: .name, 2: .name, 4: .time])]),
    ]
}

extension Pod {
    /// Reads the name, the node, the claims among the volumes, and the phase.
    ///
    /// - Throws: if the bytes are not a message.
    package init(reading bytes: Span<UInt8>) throws {
        self = try Self(keeping: Self.kept, of: bytes)
    }

    private static let kept: [Int: KeptField] = [
        1: .metadata,
        2: .message([
            1: .message([1: .name, 2: .message([10: .message([1: .name]), 29: .message([:])])]),
            10: .name,
        ]),
        3: .message([1: .name]),
    ]
}

extension Secret {
    /// Reads the name and the data.
    ///
    /// - Throws: if the bytes are not a message.
    package init(reading bytes: Span<UInt8>) throws {
        self = try Self(keeping: Self.kept, of: bytes)
    }

    private static let kept: [Int: KeptField] = [1: .metadata, 2: .message([1: .name, 2: .bytes])]
}

extension KeptField {
    fileprivate static let metadata = message([1: .name, 3: .name, 5: .name, 6: .name])
    /// A map entry.
    fileprivate static let label = message([1: .qualifiedName, 2: .name])
}

extension KubernetesObject {
    /// Decodes these fields of a message.
    ///
    /// - Throws: if the bytes are not a message.
    init(keeping fields: [Int: KeptField], of bytes: Span<UInt8>) throws {
        try self.init(serializedBytes: fields.kept(of: bytes))
    }
}
