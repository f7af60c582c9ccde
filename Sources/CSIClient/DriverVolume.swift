// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import CSISpec
import ProtobufWire

/// A volume as ListVolumes or ControllerGetVolume reports it.
package struct DriverVolume: Sendable, Hashable {
    /// `volume_id`: `spec.csi.volumeHandle` of the PersistentVolume.
    package var id: String
    /// nil when the driver reported none, which does not mean healthy.
    package var condition: Condition?

    /// A legacy `VolumeCondition`.
    package struct Condition: Sendable, Hashable {
        package var isAbnormal: Bool
        package var message: String
    }
}

// MARK: Decoding

extension DriverVolume: DriverListItem {
    /// Decodes a `ListVolumesResponse.Entry`, or a `ControllerGetVolumeResponse`, which has the same fields.
    ///
    /// - Throws: when the bytes are malformed.
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
    /// Decodes a reply to NodeGetVolumeStats.
    ///
    /// - Returns: nil when the reply has no `volume_condition`. One of length 0 is a healthy condition.
    /// - Throws: when the bytes are malformed.
    package static func decode(nodeReply reply: [UInt8]) throws(CSIError) -> Self? {
        try decoding(reply, method: CSIMethodName.nodeGetVolumeStats) { bytes in
            var condition: Self?
            var reader = WireReader()
            while let field = try reader.next(in: bytes) {
                guard (1...2).contains(field.number) else { continue }
                guard let message = field.message else { throw UnexpectedWireType(number: field.number) }
                guard field.number == 2 else { continue }
                var merged = condition ?? Self(isAbnormal: false, message: "")
                try merged.read(bytes.extracting(message))
                condition = merged
            }
            return condition
        }
    }

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

extension DriverVolume {
    /// Decodes a reply to ControllerGetVolume. It is for the requested volume, whatever id it has: a unary call has one
    /// reply, and widely used drivers reply with the array's own id or without `volume` (dell/csi-powerstore,
    /// csi-powermax, csi-powerscale, csi-powerflex, simplyblock-csi: docs/migration.md).
    ///
    /// - Returns: the volume under the requested id, and how the reply deviates from the specification.
    /// - Throws: when the bytes are malformed, or have neither a volume nor a condition.
    package static func decode(
        reply: [UInt8],
        requestedID id: String
    ) throws(CSIError) -> (volume: DriverVolume, deviation: ReplyDeviation?) {
        let reply = try decoding(reply, method: CSIMethodName.controllerGetVolume) { bytes in
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
