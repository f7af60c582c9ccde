// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

package import KubernetesAPI
package import ProtobufWire

/// An object of the API server that is read from protobuf, without decoding the fields that are not needed: there are
/// many objects, and each is discarded as soon as the core has applied it.
///
/// The field numbers are those of Protos/kubernetes/core.proto. protobuf requires that a message field that occurs more
/// than once is merged, so each `read` may be called more than once, and merges into what was read before.
///
/// Invalid UTF-8 in texts is repaired: the API server does not validate all texts that clients send in protobuf, and
/// one such text must not make a list fail.
package protocol WatchedObject: ListedObject {
    /// An object without fields.
    init()

    mutating func read(metadata bytes: Span<UInt8>) throws(WireFormatError)
    mutating func read(spec bytes: Span<UInt8>) throws(WireFormatError)
    mutating func read(status bytes: Span<UInt8>) throws(WireFormatError)
}

extension WatchedObject {
    /// - Throws: `WireFormatError`, if the bytes are not a message.
    package init(reading bytes: Span<UInt8>) throws {
        self.init()
        var reader = WireReader()
        while let field = try reader.next(in: bytes) {
            guard let message = field.message else { continue }
            switch field.number {
            case 1: try read(metadata: bytes.extracting(message))
            case 2: try read(spec: bytes.extracting(message))
            case 3: try read(status: bytes.extracting(message))
            default: break
            }
        }
    }
}

extension WireField {
    /// Reads a name, or another short identifier such as a namespace, a uid or a resourceVersion. A valid one has at
    /// most 253 bytes. A longer one, which cannot match anything, is read as empty, so that it takes no memory.
    ///
    /// Source: https://kubernetes.io/docs/concepts/overview/working-with-objects/names.
    func readName(_ name: inout String, in bytes: Span<UInt8>) {
        readRepaired(&name, upTo: 253, in: bytes)
    }
}
