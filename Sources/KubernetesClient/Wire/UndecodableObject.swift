// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import KubernetesAPI
import ProtobufWire

/// An object of a list or a watch that was skipped because its bytes are not a message of its kind.
package struct UndecodableObject: Sendable {
    /// The plural of the resource: `persistentvolumeclaims`.
    package let resource: String
    /// `metadata.namespace`; empty if unreadable.
    package private(set) var namespace = ""
    /// `metadata.name`; empty if unreadable.
    package private(set) var name = ""
    /// `metadata.resourceVersion`; empty if unreadable.
    package private(set) var resourceVersion = ""
    /// Why decoding failed.
    package let error: String

    /// Reads as much of the metadata as possible.
    init(_ resource: Resource, _ bytes: Span<UInt8>, _ error: WireError) {
        self.resource = resource.plural
        self.error = error.message
        var reader = WireReader()
        while let field = try? reader.next(in: bytes) {
            if field.number == 1, let metadata = field.message { read(metadata: bytes.extracting(metadata)) }
        }
    }

    private mutating func read(metadata bytes: Span<UInt8>) {
        var reader = WireReader()
        while let field = try? reader.next(in: bytes) {
            switch field.number {
            case 1: field.readRepaired(&name, upTo: 253, in: bytes)
            case 3: field.readRepaired(&namespace, upTo: 253, in: bytes)
            case 6: field.readRepaired(&resourceVersion, upTo: 253, in: bytes)
            default: break
            }
        }
    }
}
