// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// A protobuf body of the Kubernetes API: four magic bytes and a `runtime.Unknown` with the message's type.
///
/// Source: k8s.io/apimachinery, pkg/runtime/generated.proto and pkg/runtime/serializer/protobuf.
struct Envelope {
    static let magic: [UInt8] = [0x6B, 0x38, 0x73, 0x00]  // "k8s\0"

    var apiVersion: String
    var kind: String
    var raw: ArraySlice<UInt8>

    var bytes: [UInt8] {
        var typeMeta = WireWriter()
        typeMeta.bytes(apiVersion.utf8, field: 1)
        typeMeta.bytes(kind.utf8, field: 2)
        var unknown = WireWriter()
        unknown.bytes(typeMeta.bytes, field: 1)
        unknown.bytes(raw, field: 2)
        unknown.bytes([], field: 3)  // contentEncoding and contentType are written though they are empty
        unknown.bytes([], field: 4)
        return Self.magic + unknown.bytes
    }

    init(apiVersion: String, kind: String, raw: [UInt8]) {
        self.apiVersion = apiVersion
        self.kind = kind
        self.raw = raw[...]
    }

    init(parsing bytes: [UInt8]) throws(SchemaError) {
        guard bytes.starts(with: Self.magic) else {
            throw SchemaError(
                path: "",
                problem: "provided data does not appear to be a protobuf message, expected prefix k8s"
            )
        }
        apiVersion = ""
        kind = ""
        raw = []
        var reader = WireReader(bytes.dropFirst(Self.magic.count))
        while let (number, content) = try reader.next() {
            switch (number, content) {
            case (1, .bytes(let typeMeta)):
                var reader = WireReader(typeMeta)
                while let (number, content) = try reader.next() {
                    switch (number, content) {
                    case (1, .bytes(let text)): apiVersion = String(decoding: text, as: UTF8.self)
                    case (2, .bytes(let text)): kind = String(decoding: text, as: UTF8.self)
                    default: break
                    }
                }
            case (2, .bytes(let message)): raw = message
            default: break
            }
        }
    }
}

/// One frame of a watch in protobuf: a length of four bytes, big-endian, and a `metav1.WatchEvent`.
enum WatchFrame {
    /// - Parameter object: an envelope's bytes.
    static func bytes(type: String, object: [UInt8]) -> [UInt8] {
        var rawExtension = WireWriter()
        rawExtension.bytes(object, field: 1)
        var event = WireWriter()
        event.bytes(type.utf8, field: 1)
        event.bytes(rawExtension.bytes, field: 2)
        let length = UInt32(event.bytes.count)
        let prefix = [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: length >> $0) }
        return prefix + event.bytes
    }
}
