// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import ProtobufWire
import SwiftProtobuf

/// A Lease that is read, changed and written back. Fields that are not in `lease` are kept byte for byte: another
/// writer's annotations and labels, managedFields, and fields of later Kubernetes versions. They may be invalid UTF-8.
package struct StoredLease: WritableObject, Hashable {
    /// The name, the namespace, the uid and the resourceVersion, and all fields of the spec that leader election uses.
    /// A label that is set here is added to the stored labels, or replaces the one with its key.
    package var lease = Lease()
    private var otherMetadata: [UInt8] = []
    private var otherSpec: [UInt8] = []
    private var others: [UInt8] = []

    package static var resource: Resource { Lease.resource }

    package var resourceVersion: String { lease.resourceVersion }

    package var metadata: ObjectMeta { lease.metadata }

    /// A Lease that is not stored yet.
    package init() {}

    /// - Throws: if the bytes are not a message.
    package init(reading bytes: Span<UInt8>) throws {
        lease = try Lease(keeping: [1: .message(Self.metadata), 2: .message(Lease.spec)], of: bytes)
        var reader = WireReader()
        var start = reader.position
        while let field = try reader.next(in: bytes) {
            switch (field.number, field.message) {
            case (1, let content?): otherMetadata += try Self.metadata.others(of: bytes.extracting(content))
            case (2, let content?): otherSpec += try Lease.spec.others(of: bytes.extracting(content))
            default: for index in start..<reader.position { others.append(bytes[index]) }
            }
            start = reader.position
        }
    }

    /// - Throws: `BinaryEncodingError`.
    package func encoded() throws -> [UInt8] {
        // Of map entries with the same key, the last one counts: https://protobuf.dev/programming-guides/encoding/#maps.
        let metadata: [UInt8] = try otherMetadata + lease.metadata.serializedBytes()
        let spec: [UInt8] = try otherSpec + lease.spec.serializedBytes()
        return WireField.header(number: 1, length: metadata.count) + metadata
            + WireField.header(number: 2, length: spec.count) + spec + others
    }

    private static let metadata: [Int: KeptField] = [1: .name, 3: .name, 5: .name, 6: .name]
}
