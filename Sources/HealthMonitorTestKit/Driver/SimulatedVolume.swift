// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Foundation

/// A volume of a ``SimulatedDriver``.
package struct SimulatedVolume: Sendable {
    /// A legacy VolumeCondition.
    package struct Condition: Sendable, Hashable {
        package var isAbnormal: Bool
        /// Some drivers have one for healthy volumes too.
        package var message: String

        package init(isAbnormal: Bool, message: String) {
            self.isAbnormal = isAbnormal
            self.message = message
        }

        package static let healthy = Condition(isAbnormal: false, message: "")

        package static func abnormal(_ message: String) -> Condition {
            Condition(isAbnormal: true, message: message)
        }
    }

    /// A VolumeHealthEntry of CSI 1.13.
    package struct HealthEntry: Sendable, Hashable {
        /// A `VolumeHealthErrorType`: 1 DEGRADED, 2 INACCESSIBLE, 3 DATA_LOSS; other numbers are unknown.
        package var status: Int
        /// Machine-readable.
        package var reason: String
        /// Human-readable.
        package var message: String

        package init(status: Int, reason: String, message: String = "") {
            self.status = status
            self.reason = reason
            self.message = message
        }
    }

    /// `volume_id`
    package var id: String
    /// In bytes.
    package var capacity: Int64
    /// `published_node_ids`
    package var publishedNodes: [String]
    /// nil when the driver reports no condition.
    package var condition: Condition?
    /// What the health RPCs of the controller service report; empty for a healthy volume.
    package var health: [HealthEntry]
    /// What NodeGetVolumeStats reports; nil when the driver reports no condition.
    package var nodeCondition: Condition? = .healthy
    /// What NodeGetVolumeHealth reports; empty for a healthy volume.
    package var nodeHealth: [HealthEntry] = []
    /// When set, the volume's health follows the file system, as with the reference driver (csi-driver-host-path).
    ///
    /// Its condition is abnormal while this directory is missing, whatever ``condition`` is. Its health comes from a
    /// marker file beside the directory, or is ``health`` or ``nodeHealth`` while there is none. The file has the
    /// directory's name with `.controller.health` or `.node.health`, or else `.health`, appended; it holds a JSON object of status (`DEGRADED`, `INACCESSIBLE`,
    /// `DATA_LOSS`), reason and message, or a list of them. An unknown status counts as DEGRADED, a file that cannot be
    /// decoded as healthy.
    package var backingDirectory: String?

    /// By default healthy, of 1 GiB and published nowhere.
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

    /// The condition that the driver reports now.
    var currentCondition: Condition? {
        guard let backingDirectory, !FileManager.default.fileExists(atPath: backingDirectory) else { return condition }
        return .abnormal("The source path of the volume doesn't exist")
    }

    /// The health that the driver reports now.
    var currentHealth: [HealthEntry] { marked(scope: ".controller") ?? health }

    /// The health that the driver reports now on this node.
    private var currentNodeHealth: [HealthEntry] { marked(scope: ".node") ?? nodeHealth }

    /// The entries of the marker file; nil while there is none.
    private func marked(scope: String) -> [HealthEntry]? {
        guard let backingDirectory else { return nil }
        let markers = [scope + ".health", ".health"].lazy.compactMap {
            FileManager.default.contents(atPath: backingDirectory + $0)
        }
        return markers.first.map(HealthEntry.entries)
    }

    var encodedHealth: [UInt8] { encoded(currentHealth) }

    var encodedNodeHealth: [UInt8] { encoded(currentNodeHealth) }

    /// A VolumeHealth: volume_id=1, health_statuses=2.
    private func encoded(_ entries: [HealthEntry]) -> [UInt8] {
        var volume = WireWriter()
        volume.bytes(id.utf8, field: 1)
        for entry in entries { volume.bytes(entry.encoded, field: 2) }
        return volume.bytes
    }

    /// An Entry of ListVolumesResponse, and a ControllerGetVolumeResponse: volume=1 { capacity_bytes=1, volume_id=2 },
    /// status=2 { published_node_ids=1, volume_condition=2 }.
    var encoded: [UInt8] {
        var volume = WireWriter()
        if capacity != 0 { volume.varint(UInt64(bitPattern: capacity), field: 1) }
        volume.bytes(id.utf8, field: 2)
        var entry = WireWriter()
        entry.bytes(volume.bytes, field: 1)
        var status = WireWriter()
        for node in publishedNodes { status.bytes(node.utf8, field: 1) }
        if let condition = currentCondition { status.bytes(condition.encoded, field: 2) }
        if !status.bytes.isEmpty { entry.bytes(status.bytes, field: 2) }
        return entry.bytes
    }
}

extension SimulatedVolume.Condition {
    /// A VolumeCondition: abnormal=1, message=2.
    var encoded: [UInt8] {
        var condition = WireWriter()
        if isAbnormal { condition.varint(1, field: 1) }
        if !message.isEmpty { condition.bytes(message.utf8, field: 2) }
        return condition.bytes
    }
}

extension SimulatedVolume.HealthEntry {
    /// A VolumeHealthEntry or a StorageBackendHealth: status=1, reason=2, message=3.
    var encoded: [UInt8] {
        var entry = WireWriter()
        if status != 0 { entry.varint(UInt64(bitPattern: Int64(status)), field: 1) }
        if !reason.isEmpty { entry.bytes(reason.utf8, field: 2) }
        if !message.isEmpty { entry.bytes(message.utf8, field: 3) }
        return entry.bytes
    }

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
            // Kubernetes' names (DataLoss) are accepted beside CSI's (DATA_LOSS).
            let name = marker.status.lowercased().filter { $0 != "_" }
            return Self(status: statuses[name] ?? 1, reason: marker.reason ?? "", message: marker.message ?? "")
        }
    }
}
