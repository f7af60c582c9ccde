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
            case 6: if let time = field.message { firstTime = try Self.seconds(of: bytes.extracting(time)) }
            case 7: if let time = field.message { lastTime = try Self.seconds(of: bytes.extracting(time)) }
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

    private static func seconds(of time: Span<UInt8>) throws(WireFormatError) -> Int64 {
        var seconds: Int64 = 0
        var reader = WireReader()
        while let field = try reader.next(in: time) {
            if field.number == 1, let integer = field.integer { seconds = Int64(bitPattern: integer) }
        }
        return seconds
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
