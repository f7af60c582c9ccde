// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

package import CSISpec
package import SwiftProtobuf

/// What a driver's reply says, held against the specification: without a call, so that any bytes can be read.

extension Message {
    /// A reply's bytes.
    ///
    /// - Throws: also where field 1, which every reply has, is of another wire type: it counts as unknown, and the reply
    ///   as one without it, an empty list for instance.
    package init(reply bytes: [UInt8], method: String) throws(CSIError) {
        guard !ReplyParts.isOvercrowded(bytes) else {
            throw CSIError(
                code: .invalidResponse,
                method: method,
                message: "the driver's answer says more than \(ReplyParts.maximumEntryFields) things of one volume"
            )
        }
        do {
            try self.init(serializedBytes: bytes)
        } catch {
            throw CSIError(
                code: .invalidResponse,
                method: method,
                message: "the driver's answer of \(bytes.count) bytes is no \(Self.protoMessageName): \(error)"
            )
        }
        guard !unknownFields.contain(fieldNumber: 1) else {
            throw CSIError(
                code: .invalidResponse,
                method: method,
                message: "field 1 of the driver's answer has another wire type than \(Self.protoMessageName) says"
            )
        }
    }
}

extension CSIListVolumesResponse {
    /// The page's volumes, without the entries that say of no volume what they say.
    package var volumes: [DriverVolume] {
        entries.compactMap { entry in
            guard !entry.volume.volumeID.isEmpty else { return nil }
            return DriverVolume(
                id: entry.volume.volumeID,
                condition: entry.status.hasVolumeCondition ? .init(entry.status.volumeCondition) : nil
            )
        }
    }
}

extension CSIControllerGetVolumeResponse {
    /// - Parameter id: of the volume that was asked for.
    package func volume(id: String) throws(CSIError) -> DriverVolume {
        let method = CSIMethodName.controllerGetVolume
        guard hasVolume else { throw .missing("volume", method: method) }
        try check(volume.volumeID, isFor: id, method: method)
        return DriverVolume(id: id, condition: status.hasVolumeCondition ? .init(status.volumeCondition) : nil)
    }
}

extension CSIControllerListVolumeHealthResponse {
    /// The page's volumes, without the entries that say of no volume what they say.
    package var volumes: [DriverVolumeHealth] {
        entries.lazy.filter { !$0.volumeID.isEmpty }.map(DriverVolumeHealth.init)
    }
}

extension CSIControllerGetVolumeHealthResponse {
    /// - Parameter id: of the volume that was asked for.
    package func volumeHealth(id: String) throws(CSIError) -> DriverVolumeHealth {
        let method = CSIMethodName.controllerGetVolumeHealth
        guard hasVolumeHealth else { throw .missing("volume_health", method: method) }
        try check(volumeHealth.volumeID, isFor: id, method: method)
        return DriverVolumeHealth(volumeHealth)
    }
}

/// A driver's answer must be for the volume that was asked for: what it says of another one is no word about ours.
private func check(_ answered: String, isFor id: String, method: String) throws(CSIError) {
    guard answered != id else { return }
    throw CSIError(
        code: .invalidResponse,
        method: method,
        message: "asked for volume \"\(id)\", the driver answered for \"\(excerpt(answered))\""
    )
}

/// The beginning of a driver's text, for a message that is to stay readable. Identifiers have at most 128 bytes, says
/// the specification.
func excerpt(_ text: String) -> String {
    text.utf8.count <= 256 ? text : String(text.unicodeScalars.prefix(256)) + "..."
}
