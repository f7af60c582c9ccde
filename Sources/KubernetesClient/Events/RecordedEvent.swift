// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import KubernetesAPI
import ProtobufWire

/// What the recorder needs of an Event that the server has: in an outage there are many.
///
/// Numbers: Protos/kubernetes/core.proto and meta.proto.
struct RecordedEvent: ListedObject, Hashable {
    static let resource = Event.resource

    /// `metadata.resourceVersion`
    private(set) var resourceVersion = ""
    /// How often it was reported.
    private(set) var count = 0
    /// The annotation ``EventRecord/attemptAnnotation``; empty where there is none.
    private(set) var attemptID = ""

    init(reading bytes: Span<UInt8>) throws {
        var reader = WireReader()
        while let field = try reader.next(in: bytes) {
            switch field.number {
            case 1: if let metadata = field.message { try read(metadata: bytes.extracting(metadata)) }
            // int32, sign-extended.
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
        if key == EventRecord.attemptAnnotation { attemptID = value }
    }
}
