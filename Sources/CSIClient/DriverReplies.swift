// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import CSISpec
import ProtobufWire
import SwiftProtobuf

/// What a driver's reply says, held against the specification: without a call, so that any bytes can be read.
///
/// What is said of volumes, of which there may be many, is read without decoding the rest. Field 1, which every reply has,
/// must be of its wire type: it would count as unknown, and the reply as one without it, an empty list for instance.

extension Message {
    /// A reply's bytes.
    init(reply bytes: [UInt8], method: String) throws(CSIError) {
        do {
            try self.init(serializedBytes: bytes)
            _ = try WireReader.hasMessage(1, in: bytes.span)
        } catch {
            throw .invalid(
                "the driver's answer of \(bytes.count) bytes is no \(Self.protoMessageName): \(error)",
                method
            )
        }
    }
}

/// What a driver says of one volume, in a list or when it is asked for it.
package protocol DriverReport: Sendable {
    /// The volume's identity for the driver; empty where none is given.
    var id: String { get }

    /// Reads an entry of a list.
    ///
    /// - Throws: where the bytes are no such message.
    init(reading bytes: Span<UInt8>) throws
}

extension DriverVolume: DriverReport {
    /// Reads a `ListVolumesResponse.Entry`, or a `ControllerGetVolumeResponse`, which has the same fields.
    ///
    /// - Throws: where the bytes are no such message.
    package init(reading bytes: Span<UInt8>) throws {
        self.init(id: "", condition: nil)
        var reader = WireReader()
        while let field = try reader.next(in: bytes) {
            guard let message = field.message else {
                if field.number == 1 { throw UnexpectedWireType(number: 1) }
                continue
            }
            switch field.number {
            case 1: try read(volume: bytes.extracting(message))
            case 2: try read(status: bytes.extracting(message))
            default: break
            }
        }
    }

    private mutating func read(volume bytes: Span<UInt8>) throws(WireFormatError) {
        var reader = WireReader()
        while let field = try reader.next(in: bytes) {
            if field.number == 2 { try field.read(&id, in: bytes) }
        }
    }

    private mutating func read(status bytes: Span<UInt8>) throws(WireFormatError) {
        var reader = WireReader()
        while let field = try reader.next(in: bytes) {
            guard field.number == 2, let message = field.message else { continue }
            var condition = self.condition ?? Condition(isAbnormal: false, message: "")
            try condition.read(bytes.extracting(message))
            self.condition = condition
        }
    }
}

extension DriverVolume.Condition {
    fileprivate mutating func read(_ bytes: Span<UInt8>) throws(WireFormatError) {
        var reader = WireReader()
        while let field = try reader.next(in: bytes) {
            switch field.number {
            case 1: isAbnormal = field.integer.map { $0 != 0 } ?? isAbnormal
            case 2: try field.read(&message, in: bytes)
            default: break
            }
        }
    }
}

extension DriverVolumeHealth: DriverReport {
    /// Nobody has more to say of one volume. Each entry could be of two bytes, and takes more than that when it is read.
    static let maximumEntries = 10_000

    /// Reads a `VolumeHealth`.
    ///
    /// - Throws: where the bytes are no such message, or say more than anybody has to say of one volume.
    package init(reading bytes: Span<UInt8>) throws {
        self.init(id: "", entries: [])
        try read(bytes)
    }

    fileprivate mutating func read(_ bytes: Span<UInt8>) throws {
        var reader = WireReader()
        while let field = try reader.next(in: bytes) {
            switch field.number {
            case 1: try field.read(&id, in: bytes)
            case 2:
                guard let message = field.message else { continue }
                guard entries.count < Self.maximumEntries else { throw OvercrowdedVolume() }
                entries.append(try Entry(reading: bytes.extracting(message)))
            default: break
            }
        }
    }
}

extension DriverVolumeHealth.Entry {
    fileprivate init(reading bytes: Span<UInt8>) throws(WireFormatError) {
        self.init(status: .unknown(0), reason: "", message: "")
        var reader = WireReader()
        while let field = try reader.next(in: bytes) {
            switch field.number {
            case 1: status = field.integer.map(DriverVolumeHealth.Status.init(number:)) ?? status
            case 2: try field.read(&reason, in: bytes)
            case 3: try field.read(&message, in: bytes)
            default: break
            }
        }
    }
}

// MARK: Single volumes

extension DriverVolume {
    /// Reads a reply to ControllerGetVolume. It belongs to the volume that was asked for, whatever id it carries: a unary
    /// call has one reply, and widely used drivers answer with the array's own id, or without `volume`
    /// (dell/csi-powerstore, csi-powermax, csi-powerscale, csi-powerflex, simplyblock-csi: docs/migration.md).
    ///
    /// - Parameters:
    ///   - reply: of ControllerGetVolume.
    ///   - id: of the volume that was asked for.
    /// - Returns: the volume under the id that was asked for, and what in the reply differs from the specification.
    /// - Throws: where the bytes are no such message, or have neither a volume nor a condition: that says nothing.
    package static func read(
        reply: [UInt8],
        askedFor id: String
    ) throws(CSIError) -> (volume: DriverVolume, deviation: ReplyDeviation?) {
        let reply = try reading(reply, method: CSIMethodName.controllerGetVolume) { bytes in
            (hasVolume: try WireReader.hasMessage(1, in: bytes), volume: try DriverVolume(reading: bytes))
        }
        guard reply.hasVolume || reply.volume.condition != nil else {
            throw .missing("volume", method: CSIMethodName.controllerGetVolume)
        }
        let deviation: ReplyDeviation? =
            if !reply.hasVolume {
                ReplyDeviation(kind: .volumeMissing, example: "")
            } else if reply.volume.id.isEmpty {
                ReplyDeviation(kind: .volumeIDMissing, example: "")
            } else if reply.volume.id != id {
                ReplyDeviation(kind: .volumeIDDiffers, example: excerpt(reply.volume.id))
            } else {
                nil
            }
        return (DriverVolume(id: id, condition: reply.volume.condition), deviation)
    }
}

extension DriverVolumeHealth {
    /// - Parameters:
    ///   - reply: of ControllerGetVolumeHealth.
    ///   - id: of the volume that was asked for.
    package init(reply: [UInt8], askedFor id: String) throws(CSIError) {
        let method = CSIMethodName.controllerGetVolumeHealth
        let health = try reading(reply, method: method) { bytes in
            var health: DriverVolumeHealth?
            var reader = WireReader()
            while let field = try reader.next(in: bytes) {
                guard field.number == 1 else { continue }
                guard let message = field.message else { throw UnexpectedWireType(number: 1) }
                var merged = health ?? DriverVolumeHealth(id: "", entries: [])
                try merged.read(bytes.extracting(message))
                health = merged
            }
            return health
        }
        guard let health else { throw .missing("volume_health", method: method) }
        try check(health.id, isFor: id, method: method)
        self = health
    }
}

private func reading<Answer>(
    _ reply: [UInt8],
    method: String,
    _ body: (Span<UInt8>) throws -> Answer
) throws(CSIError) -> Answer {
    do {
        return try body(reply.span)
    } catch {
        throw .unreadable(reply, method, error)
    }
}

/// The RPCs of CSI 1.13 are new, and csi-test (5.6.0) checks the id: a reply for another volume is an error.
private func check(_ answered: String, isFor id: String, method: String) throws(CSIError) {
    guard answered != id else { return }
    throw .invalid("asked for volume \"\(id)\", the driver answered for \"\(excerpt(answered))\"", method)
}

/// The beginning of a driver's text, for a message that is to stay readable. Identifiers have at most 128 bytes, says
/// the specification.
func excerpt(_ text: String) -> String {
    text.utf8.count <= 256 ? text : String(text.unicodeScalars.prefix(256)) + "..."
}

// MARK: What may be wrong

extension WireReader {
    /// Whether there is a field of this number.
    ///
    /// - Throws: where it is none of a length.
    fileprivate static func hasMessage(_ number: Int, in bytes: Span<UInt8>) throws -> Bool {
        var isThere = false
        var reader = WireReader()
        while let field = try reader.next(in: bytes) {
            guard field.number == number else { continue }
            guard field.message != nil else { throw UnexpectedWireType(number: number) }
            isThere = true
        }
        return isThere
    }
}

/// A field is not what the specification says it is.
struct UnexpectedWireType: Error, CustomStringConvertible {
    let number: Int

    var description: String { "field \(number) has another wire type than the specification says" }
}

private struct OvercrowdedVolume: Error, CustomStringConvertible {
    var description: String { "it says more than \(DriverVolumeHealth.maximumEntries) things of one volume" }
}

extension CSIError {
    static func invalid(_ message: String, _ method: String) -> CSIError {
        CSIError(code: .invalidResponse, method: method, message: message)
    }

    static func unreadable(_ reply: [UInt8], _ method: String, _ error: any Error) -> CSIError {
        .invalid("the driver's answer of \(reply.count) bytes cannot be read: \(error)", method)
    }
}
