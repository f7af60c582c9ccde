// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthCore
import ProtobufWire
import SwiftProtobuf

// Decodes replies and checks them against the specification. Pure, so that tests and fuzzing can pass any bytes.
//
// Volumes, of which there may be many, are read field by field, without the generated messages. Field 1 of every reply
// must have its wire type: otherwise protobuf would take it for an unknown field, and the reply for an empty one.

extension Message {
    /// Decodes a reply.
    init(reply bytes: [UInt8], method: String) throws(CSIError) {
        do {
            try self.init(serializedBytes: bytes)
            _ = try WireReader.hasMessage(1, in: bytes.span)
        } catch {
            throw .invalid(
                "the response of \(bytes.count) bytes is not a \(Self.protoMessageName): \(error)",
                method
            )
        }
    }
}

/// A driver's report on one volume, as an entry of a list has it.
package protocol DriverListItem: Sendable {
    /// `volume_id`; empty where it is missing.
    var id: String { get }

    /// Decodes an entry of a list.
    ///
    /// - Throws: when the bytes are malformed.
    init(reading bytes: Span<UInt8>) throws
}

/// Runs `body` on a reply's bytes; its errors become ``CSIError/Code/invalidResponse``.
func decoding<Result>(
    _ reply: [UInt8],
    method: String,
    _ body: (Span<UInt8>) throws -> Result
) throws(CSIError) -> Result {
    do {
        return try body(reply.span)
    } catch {
        throw .unreadable(reply, method, error)
    }
}

/// The beginning of a driver's text on one line, to keep messages readable. By the specification identifiers have at
/// most 128 bytes.
func excerpt(_ text: String) -> String {
    let line = printable(text)
    return line.utf8.count <= 256 ? line : bounded(line, toBytes: 256) + "..."
}

// MARK: Errors

extension WireReader {
    /// Whether the message has a field of this number.
    ///
    /// - Throws: when the field is not length-delimited.
    static func hasMessage(_ number: Int, in bytes: Span<UInt8>) throws -> Bool {
        var isPresent = false
        var reader = WireReader()
        while let field = try reader.next(in: bytes) {
            guard field.number == number else { continue }
            guard field.message != nil else { throw UnexpectedWireType(number: number) }
            isPresent = true
        }
        return isPresent
    }
}

/// A field does not have the wire type that the specification gives it.
struct UnexpectedWireType: Error, CustomStringConvertible {
    let number: Int

    var description: String { "field \(number) has another wire type than in the CSI specification" }
}

extension CSIError {
    static func invalid(_ message: String, _ method: String) -> CSIError {
        CSIError(code: .invalidResponse, method: method, message: message)
    }

    static func unreadable(_ reply: [UInt8], _ method: String, _ error: any Error) -> CSIError {
        .invalid("the response of \(reply.count) bytes cannot be decoded: \(error)", method)
    }
}
