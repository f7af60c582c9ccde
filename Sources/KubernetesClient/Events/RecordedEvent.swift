// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

package import KubernetesAPI
import ProtobufWire

/// The fields of a stored Event that show what was recorded last. In an outage there are many Events.
///
/// Field numbers: Protos/kubernetes/core.proto and meta.proto.
package struct RecordedEvent: ListedObject, Hashable {
    package static let resource = Event.resource

    package private(set) var resourceVersion = ""
    package private(set) var count = 0
    /// `firstTimestamp` and `lastTimestamp`, in seconds since 1970; 0: not set.
    package private(set) var firstTime: Int64 = 0
    package private(set) var lastTime: Int64 = 0
    package private(set) var annotations: [String: String] = [:]

    /// - Throws: `WireFormatError`, if the bytes are not a message.
    package init(reading bytes: Span<UInt8>) throws {
        var reader = WireReader()
        while let field = try reader.next(in: bytes) {
            switch field.number {
            case 1: if let metadata = field.message { try read(metadata: bytes.extracting(metadata)) }
            case 6: try field.readSeconds(&firstTime, in: bytes)
            case 7: try field.readSeconds(&lastTime, in: bytes)
            // An int32, which protobuf sign-extends to 64 bits.
            case 8: count = field.integer.map { Int(Int32(truncatingIfNeeded: $0)) } ?? count
            default: break
            }
        }
    }

    private mutating func read(metadata bytes: Span<UInt8>) throws(WireFormatError) {
        var reader = WireReader()
        while let field = try reader.next(in: bytes) {
            switch field.number {
            case 6: field.readRepaired(&resourceVersion, in: bytes)
            case 12: if let entry = field.message { try read(annotation: bytes.extracting(entry)) }
            default: break
            }
        }
    }

    private mutating func read(annotation bytes: Span<UInt8>) throws(WireFormatError) {
        var (key, value) = ("", "")
        var reader = WireReader()
        while let field = try reader.next(in: bytes) {
            switch field.number {
            case 1: field.readRepaired(&key, in: bytes)
            case 2: field.readRepaired(&value, in: bytes)
            default: break
            }
        }
        annotations[key] = value
    }
}
