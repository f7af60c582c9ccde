// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// An object as it is stored, like etcd does: as a protobuf message. Lists and watches in protobuf copy it, and a
/// hundred thousand objects take some tens of megabytes.
struct StoredObject: Hashable, Sendable {
    /// The message, without an envelope.
    let bytes: [UInt8]
    /// How many of them at the end a client sent, and nothing here reads.
    private let rawCount: Int

    /// - Parameter raw: more fields of the message, as they are: protobuf merges them into what is before them.
    /// - Throws: `SchemaError` when the value does not fit its type.
    init(_ value: JSONValue, of type: ResourceType, appending raw: [UInt8] = []) throws(SchemaError) {
        bytes = try type.schema.encode(value) + raw
        rawCount = raw.count
    }

    /// The object, to be looked into and to be changed; without raw fields.
    func value(of type: ResourceType) -> JSONValue {
        // The bytes are our own: they can be read.
        (try? type.schema.decode(bytes.dropLast(rawCount))) ?? .null
    }
}
