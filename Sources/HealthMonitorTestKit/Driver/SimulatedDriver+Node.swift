// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Foundation
import GRPCTransport

extension SimulatedDriver {
    /// How a driver checks the path of NodeGetVolumeStats on the file system.
    package enum PathCheck: Sendable, Hashable {
        /// Not at all.
        case none
        /// A path that does not exist is NOT_FOUND.
        case exists
        /// Also, a volume whose path is not a mount point is abnormal.
        case mounted
    }

    /// The node service validates as csi-driver-host-path does (1.18, pkg/hostpath/nodeserver.go).
    static func nodeResponse(
        to call: SimulatedCall,
        _ configuration: Configuration,
        _ volumes: VolumeTable
    ) -> SimulatedResponse {
        guard let numbers = configuration.nodeCapabilities else { return unimplemented(call) }
        switch call.method {
        case "/csi.v1.Node/NodeGetCapabilities": return .reply(capabilities(numbers))
        case "/csi.v1.Node/NodeGetVolumeStats" where numbers.contains(2) || numbers.contains(4):
            guard !call.volumeID.isEmpty else { return .fail(.invalidArgument, "Volume ID not provided") }
            guard !call.volumePath.isEmpty else { return .fail(.invalidArgument, "Volume Path not provided") }
            guard let volume = volumes[call.volumeID] else { return .fail(.notFound, unknown(call)) }
            switch configuration.pathCheck {
            case .none: break
            case .exists, .mounted:
                guard FileManager.default.fileExists(atPath: call.volumePath) else {
                    return .fail(.notFound, "Could not get file information from \(call.volumePath)")
                }
                if configuration.pathCheck == .mounted, !MountTable.current().contains(call.volumePath) {
                    return .nodeCondition(.abnormal("The volume isn't mounted"))
                }
            }
            return .nodeCondition(numbers.contains(4) ? volume.nodeCondition : nil)
        case "/csi.v1.Node/NodeGetVolumeHealth" where numbers.contains(7):
            guard !call.volumeID.isEmpty else { return .fail(.invalidArgument, "Volume ID not provided") }
            guard let volume = volumes[call.volumeID] else { return .fail(.notFound, unknown(call)) }
            return .nodeVolumeHealth(volume)
        case "/csi.v1.Node/NodeGetStorageHealth" where numbers.contains(8):
            return .storageHealth(configuration.storageHealth)
        default: return unimplemented(call)
        }
    }
}

/// The mount points of this process.
struct MountTable: Hashable {
    private let points: Set<String>

    /// - Parameter mountInfo: the contents of /proc/self/mountinfo, see proc(5).
    init(mountInfo: String) {
        points = Set(
            mountInfo.split(separator: "\n").compactMap { line in
                let fields = line.split(separator: " ", maxSplits: 5)
                return fields.count > 4 ? Self.unescaped(fields[4]) : nil
            }
        )
    }

    static func current() -> MountTable {
        let contents = (try? UnsizedFile.contents(of: "/proc/self/mountinfo")) ?? Data()
        return MountTable(mountInfo: String(decoding: contents, as: UTF8.self))
    }

    func contains(_ path: String) -> Bool { points.contains(path) }

    /// The kernel writes a space, a tab, a newline and a backslash as three octal digits after a backslash.
    private static func unescaped(_ text: Substring) -> String {
        [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")].reduce(String(text)) { text, escape in
            text.replacing(escape.0, with: escape.1)
        }
    }
}

// MARK: - Responses of the node service that a test chooses; field numbers: container-storage-interface/spec, csi.proto

extension SimulatedResponse {
    /// A response to NodeGetVolumeStats: usage=1 { available=1, total=2, used=3, unit=4 }, volume_condition=2. nil omits
    /// the condition.
    package static func nodeCondition(_ condition: SimulatedVolume.Condition?) -> SimulatedResponse {
        var response = WireWriter()
        // BYTES (1) and INODES (2).
        for unit in 1...2 as ClosedRange<UInt64> {
            var usage = WireWriter()
            usage.varint(900, field: 1)
            usage.varint(1000, field: 2)
            usage.varint(100, field: 3)
            usage.varint(unit, field: 4)
            response.bytes(usage.bytes, field: 1)
        }
        if let condition { response.bytes(condition.encoded, field: 2) }
        return .reply(response.bytes)
    }

    /// A response to NodeGetVolumeHealth, for whatever volume was requested; nil omits the required volume_health.
    package static func nodeVolumeHealth(_ volume: SimulatedVolume?) -> SimulatedResponse {
        var response = WireWriter()
        if let volume { response.bytes(volume.encodedNodeHealth, field: 1) }
        return .reply(response.bytes)
    }

    /// A response to NodeGetStorageHealth: backend_health=1 { status=1, reason=2, message=3, volume_capability=4 }.
    package static func storageHealth(_ entries: [SimulatedVolume.HealthEntry]) -> SimulatedResponse {
        var response = WireWriter()
        for entry in entries { response.bytes(entry.encoded, field: 1) }
        return .reply(response.bytes)
    }
}
