// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import KubernetesAPI
import ProtobufWire

/// The fields of a stored Event that the recorder needs. In an outage there are many Events.
///
/// Field numbers: Protos/kubernetes/core.proto and meta.proto.
struct RecordedEvent: ListedObject, Hashable {
    static let resource = Event.resource

    private(set) var resourceVersion = ""
    private(set) var count = 0
    private(set) var annotations: [String: String] = [:]

    init(reading bytes: Span<UInt8>) throws {
        var reader = WireReader()
        while let field = try reader.next(in: bytes) {
            switch field.number {
            case 1: if let metadata = field.message { try read(metadata: bytes.extracting(metadata)) }
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
