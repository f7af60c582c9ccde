// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import CSISpec
import ProtobufWire

/// A volume's health as ControllerListVolumeHealth, ControllerGetVolumeHealth or NodeGetVolumeHealth reports it (CSI
/// 1.13 and later).
package struct DriverVolumeHealth: Sendable, Hashable {
    /// A `VolumeHealthErrorType`.
    package enum Status: Sendable, Hashable {
        /// DEGRADED: usable, with reduced performance or redundancy.
        case degraded
        /// INACCESSIBLE: data cannot be read or written at the moment.
        case inaccessible
        /// DATA_LOSS: data is gone.
        case dataLoss
        /// Any other number, also UNKNOWN_VOLUME_HEALTH_TYPE (0). It does not mean healthy.
        case unknown(Int)
    }

    /// A `VolumeHealthEntry`: one problem of the volume.
    package struct Entry: Sendable, Hashable {
        package var status: Status
        /// Machine-readable; some drivers leave it empty.
        package var reason: String
        /// Human-readable.
        package var message: String
    }

    /// `volume_id`: `spec.csi.volumeHandle` of the PersistentVolume.
    package var id: String
    /// All problems, in the driver's order and with its repetitions; empty for a healthy volume.
    package var entries: [Entry]
}

extension DriverVolumeHealth.Status {
    /// By the numbers of `VolumeHealthErrorType`.
    init(number: UInt64) {
        switch Int32(truncatingIfNeeded: number) {
        case 1: self = .degraded
        case 2: self = .inaccessible
        case 3: self = .dataLoss
        // An enumeration has 32 bits; protobuf ignores the others.
        case let other: self = .unknown(Int(other))
        }
    }
}

// MARK: Decoding

extension DriverVolumeHealth: DriverListItem {
    /// More than any driver reports for one volume. An entry may be two bytes, and takes much more memory when decoded.
    static let maximumEntries = 10_000

    /// Decodes a `VolumeHealth`.
    ///
    /// - Throws: when the bytes are malformed, or have more than ``maximumEntries``.
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
                guard entries.count < Self.maximumEntries else { throw TooManyEntries() }
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

extension DriverVolumeHealth {
    /// Decodes a reply to ControllerGetVolumeHealth or NodeGetVolumeHealth, which have the same fields.
    ///
    /// - Throws: when the bytes are malformed, or the reply has no `volume_health` or one for another volume.
    package init(
        reply: [UInt8],
        requestedID id: String,
        method: String = CSIMethodName.controllerGetVolumeHealth
    ) throws(CSIError) {
        let health = try decoding(reply, method: method) { bytes in
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
        // Unlike for ControllerGetVolume, csi-test (5.6.0) checks the id: drivers can be held to it.
        guard health.id == id else {
            throw .invalid("requested volume \"\(id)\", the response is for \"\(excerpt(health.id))\"", method)
        }
        self = health
    }
}

private struct TooManyEntries: Error, CustomStringConvertible {
    var description: String { "more than \(DriverVolumeHealth.maximumEntries) health entries for one volume" }
}
