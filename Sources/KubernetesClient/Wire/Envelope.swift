// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

package import FoundationEssentials
package import KubernetesAPI
import SwiftProtobuf

/// The envelope of everything that the API server sends and takes in protobuf: four bytes, and a `runtime.Unknown`
/// that says what its bytes are.
///
/// Source: [Alternate representations of
/// resources](https://kubernetes.io/docs/reference/using-api/api-concepts/#protobuf-encoding).
package struct Envelope {
    static let mediaType = "application/vnd.kubernetes.protobuf"
    package static let prefix: [UInt8] = [0x6B, 0x38, 0x73, 0x00]

    private let content: Unknown

    var kind: String { content.typeMeta.kind }
    var apiVersion: String { content.typeMeta.apiVersion }

    package init(_ bytes: Data) throws(WireError) {
        guard bytes.starts(with: Self.prefix) else {
            throw WireError(message: "\(bytes.count) bytes that do not begin as Kubernetes' protobuf does")
        }
        do {
            content = try Unknown(serializedBytes: bytes.dropFirst(Self.prefix.count))
        } catch {
            throw WireError(message: "the envelope is no runtime.Unknown: \(error)")
        }
        guard content.contentEncoding.isEmpty else {
            throw WireError(message: "the content encoding \"\(content.contentEncoding)\" is not supported")
        }
    }

    /// The object inside.
    ///
    /// - Parameter keepingUnknownFields: needed for an object that is written back whole; costs time and memory.
    package func object<O: KubernetesObject>(_: O.Type, keepingUnknownFields: Bool) throws(WireError) -> O {
        try check(kind: O.resource.kind, of: O.resource)
        return try message(keepingUnknownFields: keepingUnknownFields)
    }

    /// The list inside, of the objects of a resource.
    func list(of resource: Resource) throws(WireError) -> ObjectList {
        try check(kind: "\(resource.kind)List", of: resource)
        return try message(keepingUnknownFields: false)
    }

    /// The Status inside; nil when it is anything else.
    func status() -> Status? {
        guard kind == "Status", let status: Status = try? message(keepingUnknownFields: false) else { return nil }
        return status
    }

    private func check(kind: String, of resource: Resource) throws(WireError) {
        guard self.kind == kind, apiVersion == resource.apiVersion else {
            throw WireError(
                message: "\(resource.apiVersion) \(kind) is expected, the server sent \(apiVersion) \(self.kind)"
            )
        }
    }

    private func message<M: Message>(keepingUnknownFields: Bool) throws(WireError) -> M {
        try M(decoding: content.raw, keepingUnknownFields: keepingUnknownFields)
    }
}

extension Envelope {
    /// An object as the API server takes it.
    package static func encode<O: KubernetesObject>(_ object: O) throws(WireError) -> [UInt8] {
        var content = Unknown()
        content.typeMeta.apiVersion = O.resource.apiVersion
        content.typeMeta.kind = O.resource.kind
        do {
            content.raw = try object.serializedBytes()
            return try prefix + content.serializedBytes()
        } catch {
            throw WireError(message: "a \(O.resource.kind) that cannot be encoded: \(error)")
        }
    }
}

extension Message {
    init(decoding bytes: Data, keepingUnknownFields: Bool) throws(WireError) {
        var options = BinaryDecodingOptions()
        options.discardUnknownFields = !keepingUnknownFields
        do {
            try self.init(serializedBytes: bytes, options: options)
        } catch {
            throw WireError(message: "\(bytes.count) bytes are no \(Self.protoMessageName): \(error)")
        }
    }
}
