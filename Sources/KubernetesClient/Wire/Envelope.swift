// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

package import KubernetesAPI
import ProtobufWire
import SwiftProtobuf

/// The envelope of all protobuf that the API server sends and accepts: four bytes, and a `runtime.Unknown` with the
/// type and the bytes of an object.
///
/// An envelope holds only ranges. Pass the same bytes again to its methods.
///
/// Source: [Alternate representations of
/// resources](https://kubernetes.io/docs/reference/using-api/api-concepts/#protobuf-encoding).
package struct Envelope {
    static let mediaType = "application/vnd.kubernetes.protobuf"

    /// Whether a Content-Type is protobuf, with any parameters, such as `;stream=watch`.
    static func isMediaType(_ contentType: String) -> Bool {
        let type = contentType.prefix { $0 != ";" }
        return String(type.filter { $0 != " " && $0 != "\t" }).lowercased() == mediaType
    }

    package static let prefix: [UInt8] = [0x6B, 0x38, 0x73, 0x00]

    // Ranges instead of strings: most are only compared.
    private var kind = 0..<0
    private var apiVersion = 0..<0
    /// The range of the object.
    private(set) var content = 0..<0

    package init(_ bytes: Span<UInt8>) throws(WireError) {
        guard bytes.count >= Self.prefix.count, Self.prefix.indices.allSatisfy({ bytes[$0] == Self.prefix[$0] }) else {
            throw WireError(message: "\(bytes.count) bytes do not begin with the prefix of Kubernetes' protobuf")
        }
        var contentEncoding = ""
        do throws(WireFormatError) {
            var reader = WireReader(at: Self.prefix.count)
            while let field = try reader.next(in: bytes) {
                switch field.number {
                case 1: if let typeMeta = field.message { try read(typeMeta: typeMeta, in: bytes) }
                case 2: content = field.message ?? content
                case 3: try field.read(&contentEncoding, in: bytes)
                default: break
                }
            }
        } catch {
            throw WireError(message: "the envelope is not a runtime.Unknown: \(error)")
        }
        guard contentEncoding.isEmpty else {
            throw WireError(message: "the content encoding \"\(contentEncoding)\" is not supported")
        }
    }

    private mutating func read(typeMeta: Range<Int>, in bytes: Span<UInt8>) throws(WireFormatError) {
        let bytes = bytes.extracting(..<typeMeta.upperBound)
        var reader = WireReader(at: typeMeta.lowerBound)
        while let field = try reader.next(in: bytes) {
            switch field.number {
            case 1: apiVersion = field.message ?? apiVersion
            case 2: kind = field.message ?? kind
            default: break
            }
        }
    }

    package func object<O: ListedObject>(_: O.Type, in bytes: Span<UInt8>) throws(WireError) -> O {
        try check(kind: O.resource.kind, of: O.resource, in: bytes)
        return try O(listed: bytes.extracting(content))
    }

    /// Decodes a Status; nil for any other object.
    func status(in bytes: Span<UInt8>) -> Status? {
        guard bytes.extracting(kind).isText("Status") else { return nil }
        return try? Status(decoding: bytes.extracting(content))
    }

    func check(kind: String, of resource: Resource, in bytes: Span<UInt8>) throws(WireError) {
        guard bytes.extracting(self.kind).isText(kind), bytes.extracting(apiVersion).isText(resource.apiVersion) else {
            throw WireError(
                message: "expected \(resource.apiVersion) \(kind), received \(description(in: bytes))"
            )
        }
    }

    /// The object's apiVersion and kind, for error messages.
    func description(in bytes: Span<UInt8>) -> String {
        "\(bytes.extracting(apiVersion).text) \(bytes.extracting(kind).text)"
    }
}

extension Envelope {
    /// Encodes an object in an envelope.
    package static func encode<O: WritableObject>(_ object: O) throws(WireError) -> [UInt8] {
        var envelope = Unknown()
        envelope.typeMeta.apiVersion = O.resource.apiVersion
        envelope.typeMeta.kind = O.resource.kind
        do {
            let content = try object.encoded()
            // The field `raw` is appended to the encoded envelope instead of set in it, so that the object is copied
            // once.
            let header = WireField.header(number: 2, length: content.count)
            return try prefix + envelope.serializedBytes() + header + content
        } catch {
            throw WireError(message: "cannot encode \(O.resource.kind): \(error)")
        }
    }
}

extension Span<UInt8> {
    /// Whether these bytes are the UTF-8 encoding of `text`.
    fileprivate func isText(_ text: String) -> Bool {
        count == text.utf8.count && zip(indices, text.utf8).allSatisfy { self[$0] == $1 }
    }

    fileprivate var text: String { String(decoding: indices.map { self[$0] }, as: UTF8.self) }
}

extension ListedObject {
    init(listed bytes: Span<UInt8>) throws(WireError) {
        do {
            try self.init(reading: bytes)
        } catch {
            throw WireError(message: "\(bytes.count) bytes are not a \(Self.resource.kind): \(error)")
        }
    }
}

extension Message {
    /// Decodes a message without its unknown fields.
    init(decoding bytes: Span<UInt8>) throws(WireError) {
        var options = BinaryDecodingOptions()
        options.discardUnknownFields = true
        do {
            // SAFETY: a span's raw bytes are unsafe only because of padding between elements; UInt8 has none.
            try self.init(serializedBytes: unsafe bytes.bytes, options: options)
        } catch {
            throw WireError(message: "\(bytes.count) bytes are not a \(Self.protoMessageName): \(error)")
        }
    }
}

/// Malformed bytes from the API server.
package struct WireError: Error, Hashable {
    package var message: String
}
