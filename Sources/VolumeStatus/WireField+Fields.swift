// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import ProtobufWire

// The objects of this module keep few fields of what a list returns, and read no others. Texts are repaired: the API
// server does not validate all that clients send in protobuf.

/// Calls `body` with each field of a message, and the bytes that the field's ranges refer to.
func forEachField(
    of bytes: Span<UInt8>,
    _ body: (WireField, Span<UInt8>) throws(WireFormatError) -> Void
) throws(WireFormatError) {
    var reader = WireReader()
    while let field = try reader.next(in: bytes) { try body(field, bytes) }
}

extension WireField {
    /// Calls `body` with each field of the embedded message; not at all if the field is no message.
    func forEachField(
        in bytes: Span<UInt8>,
        _ body: (WireField, Span<UInt8>) throws(WireFormatError) -> Void
    ) throws(WireFormatError) {
        guard let message else { return }
        try VolumeStatus.forEachField(of: bytes.extracting(message), body)
    }

    /// The text of the field; empty if it has more than `limit` bytes, by default more than a valid name has.
    func text(upTo limit: Int = 253, in bytes: Span<UInt8>) -> String {
        var text = ""
        readRepaired(&text, upTo: limit, in: bytes)
        return text
    }

    /// The seconds of a `metav1.Time` or `MicroTime`.
    func seconds(in bytes: Span<UInt8>) throws(WireFormatError) -> Int64 {
        var seconds: Int64 = 0
        try readSeconds(&seconds, in: bytes)
        return seconds
    }
}
