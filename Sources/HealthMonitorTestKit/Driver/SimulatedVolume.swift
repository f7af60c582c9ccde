// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Foundation

/// A volume of a ``SimulatedDriver``.
public struct SimulatedVolume: Sendable {
    /// A legacy VolumeCondition.
    public enum Condition: Sendable, Hashable {
        /// Nothing is wrong.
        case healthy
        /// Something is, and this is the driver's word for it.
        case abnormal(String)
    }

    /// The driver's identity for it: `volume_id`.
    public var id: String
    /// nil: the driver says nothing of it.
    public var condition: Condition?
    /// When set, the volume is as the reference driver (csi-driver-host-path) finds it: abnormal while this directory
    /// is missing, whatever ``condition`` says.
    public var backingDirectory: String?

    /// A volume.
    public init(id: String, condition: Condition? = .healthy, backingDirectory: String? = nil) {
        self.id = id
        self.condition = condition
        self.backingDirectory = backingDirectory
    }

    /// What the driver says of it now.
    var currentCondition: Condition? {
        guard let backingDirectory, !FileManager.default.fileExists(atPath: backingDirectory) else { return condition }
        return .abnormal("The source path of the volume doesn't exist")
    }

    /// An Entry of ListVolumesResponse, and a ControllerGetVolumeResponse: volume=1 { volume_id=2 },
    /// status=2 { volume_condition=2 { abnormal=1, message=2 } }.
    var encoded: [UInt8] {
        var volume = WireWriter()
        volume.bytes(id.utf8, field: 2)
        var entry = WireWriter()
        entry.bytes(volume.bytes, field: 1)
        var condition = WireWriter()
        switch currentCondition {
        case .healthy:
            break
        case .abnormal(let message):
            condition.varint(1, field: 1)
            condition.bytes(message.utf8, field: 2)
        case nil:
            return entry.bytes
        }
        var status = WireWriter()
        status.bytes(condition.bytes, field: 2)
        entry.bytes(status.bytes, field: 2)
        return entry.bytes
    }
}
