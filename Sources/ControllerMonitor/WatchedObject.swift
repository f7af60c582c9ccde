// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

package import KubernetesAPI
package import ProtobufWire

/// An object of the API server of which only what is needed is read from its protobuf, without decoding the rest: there
/// are many, and each is forgotten as soon as the core has it.
///
/// Numbers: Protos/kubernetes/core.proto. Parts that come more than once are read one after the other, as protobuf
/// merges messages.
///
/// Texts are read leniently. The API server does not validate all of them, and stores what a client sent in protobuf: a
/// text that is not UTF-8 must not make a list fail.
package protocol WatchedObject: ListedObject {
    /// An object without fields.
    init()

    mutating func read(metadata bytes: Span<UInt8>) throws(WireFormatError)
    mutating func read(spec bytes: Span<UInt8>) throws(WireFormatError)
    mutating func read(status bytes: Span<UInt8>) throws(WireFormatError)
}

extension WatchedObject {
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
    /// Reads a name, a namespace, a uid or a version. No valid one is longer than 253 bytes; a longer one, which can match
    /// nothing, is read as empty, so that it takes no memory.
    ///
    /// Source: https://kubernetes.io/docs/concepts/overview/working-with-objects/names.
    func readName(_ name: inout String, in bytes: Span<UInt8>) {
        readRepaired(&name, upTo: 253, in: bytes)
    }
}
