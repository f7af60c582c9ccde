// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Foundation

/// A volume of a ``SimulatedDriver``.
package struct SimulatedVolume: Sendable {
    /// A legacy VolumeCondition.
    package struct Condition: Sendable, Hashable {
        /// Whether something is wrong.
        package var isAbnormal: Bool
        /// The driver's word for it; some drivers have one for healthy volumes too.
        package var message: String

        /// A condition.
        package init(isAbnormal: Bool, message: String) {
            self.isAbnormal = isAbnormal
            self.message = message
        }

        /// Nothing is wrong, and there is nothing to say.
        package static let healthy = Condition(isAbnormal: false, message: "")

        /// Something is wrong, and this is the driver's word for it.
        package static func abnormal(_ message: String) -> Condition {
            Condition(isAbnormal: true, message: message)
        }
    }

    /// A VolumeHealthEntry of CSI 1.13.
    package struct HealthEntry: Sendable, Hashable {
        /// The number of a `VolumeHealthErrorType`: 1 DEGRADED, 2 INACCESSIBLE, 3 DATA_LOSS; any other is unknown.
        package var status: Int
        /// A word for programs.
        package var reason: String
        /// A sentence for people.
        package var message: String

        /// An entry.
        package init(status: Int, reason: String, message: String = "") {
            self.status = status
            self.reason = reason
            self.message = message
        }
    }

    /// The driver's identity for it: `volume_id`.
    package var id: String
    /// Its size in bytes.
    package var capacity: Int64
    /// The nodes that it is published on, by the driver's identities for them.
    package var publishedNodes: [String]
    /// nil: the driver says nothing of it.
    package var condition: Condition?
    /// What the health RPCs say is wrong.
    package var health: [HealthEntry]
    /// When set, the volume is as the reference driver (csi-driver-host-path) finds it.
    ///
    /// Its condition is abnormal while this directory is missing, whatever ``condition`` says. Its health is what a marker
    /// file beside the directory says, or ``health`` while there is none: a file named as the directory with
    /// `.controller.health` or else `.health` added, with a JSON object of status (`DEGRADED`, `INACCESSIBLE`,
    /// `DATA_LOSS`), reason and message, or a list of them. A status that is none of these counts as DEGRADED, a file that
    /// cannot be read as healthy.
    package var backingDirectory: String?

    /// A volume; by default healthy, of 1 GiB and published nowhere.
    package init(
        id: String,
        capacity: Int64 = 1 << 30,
        publishedNodes: [String] = [],
        condition: Condition? = .healthy,
        health: [HealthEntry] = [],
        backingDirectory: String? = nil
    ) {
        self.id = id
        self.capacity = capacity
        self.publishedNodes = publishedNodes
        self.condition = condition
        self.health = health
        self.backingDirectory = backingDirectory
    }

    /// What the driver says of it now.
    var currentCondition: Condition? {
        guard let backingDirectory, !FileManager.default.fileExists(atPath: backingDirectory) else { return condition }
        return .abnormal("The source path of the volume doesn't exist")
    }

    /// What the health RPCs say of it now.
    var currentHealth: [HealthEntry] {
        guard let backingDirectory else { return health }
        let markers = [".controller.health", ".health"].lazy.compactMap {
            FileManager.default.contents(atPath: backingDirectory + $0)
        }
        return markers.first.map(HealthEntry.entries) ?? health
    }

    /// A VolumeHealth: volume_id=1, health_statuses=2 { status=1, reason=2, message=3 }.
    var encodedHealth: [UInt8] {
        var volume = WireWriter()
        volume.bytes(id.utf8, field: 1)
        for entry in currentHealth {
            var message = WireWriter()
            if entry.status != 0 { message.varint(UInt64(bitPattern: Int64(entry.status)), field: 1) }
            if !entry.reason.isEmpty { message.bytes(entry.reason.utf8, field: 2) }
            if !entry.message.isEmpty { message.bytes(entry.message.utf8, field: 3) }
            volume.bytes(message.bytes, field: 2)
        }
        return volume.bytes
    }

    /// An Entry of ListVolumesResponse, and a ControllerGetVolumeResponse: volume=1 { capacity_bytes=1, volume_id=2 },
    /// status=2 { published_node_ids=1, volume_condition=2 { abnormal=1, message=2 } }.
    var encoded: [UInt8] {
        var volume = WireWriter()
        if capacity != 0 { volume.varint(UInt64(bitPattern: capacity), field: 1) }
        volume.bytes(id.utf8, field: 2)
        var entry = WireWriter()
        entry.bytes(volume.bytes, field: 1)
        var status = WireWriter()
        for node in publishedNodes { status.bytes(node.utf8, field: 1) }
        if let condition = currentCondition {
            var message = WireWriter()
            if condition.isAbnormal { message.varint(1, field: 1) }
            if !condition.message.isEmpty { message.bytes(condition.message.utf8, field: 2) }
            status.bytes(message.bytes, field: 2)
        }
        if !status.bytes.isEmpty { entry.bytes(status.bytes, field: 2) }
        return entry.bytes
    }
}

extension SimulatedVolume.HealthEntry {
    private struct Marker: Decodable {
        var status: String
        var reason: String?
        var message: String?
    }

    fileprivate static func entries(marker: Data) -> [Self] {
        let decoder = JSONDecoder()
        let markers =
            (try? decoder.decode([Marker].self, from: marker)) ?? (try? [decoder.decode(Marker.self, from: marker)])
        return (markers ?? []).map { marker in
            let statuses = ["degraded": 1, "inaccessible": 2, "dataloss": 3]
            // The names of Kubernetes (DataLoss) do as well as CSI's (DATA_LOSS).
            let name = marker.status.lowercased().filter { $0 != "_" }
            return Self(status: statuses[name] ?? 1, reason: marker.reason ?? "", message: marker.message ?? "")
        }
    }
}
