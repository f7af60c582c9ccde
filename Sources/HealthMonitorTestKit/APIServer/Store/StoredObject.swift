// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// An object as a protobuf message, as etcd stores it. Protobuf lists and watches copy it, and 100,000 objects take
/// some tens of megabytes.
struct StoredObject: Hashable, Sendable {
    /// The message, without an envelope.
    let bytes: [UInt8]
    /// How many bytes at the end are raw fields, which this server does not read.
    private let rawCount: Int

    /// - Parameter raw: further fields of the message; protobuf merges them with those before them.
    /// - Throws: `SchemaError` when the value does not fit its type.
    init(_ value: JSONValue, of type: ResourceType, appending raw: [UInt8] = []) throws(SchemaError) {
        bytes = try type.schema.encode(value) + raw
        rawCount = raw.count
    }

    /// The object as JSON, without raw fields.
    func value(of type: ResourceType) -> JSONValue {
        // Decoding cannot fail: this type encoded the bytes.
        (try? type.schema.decode(bytes.dropLast(rawCount))) ?? .null
    }
}
