// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// The volumes of a driver, in the order of its lists and by id.
struct VolumeTable: Sendable {
    private(set) var all: [SimulatedVolume]
    private var positions: [String: Int]

    init(_ volumes: [SimulatedVolume] = []) {
        all = volumes
        positions = Dictionary(volumes.enumerated().map { ($1.id, $0) }) { first, _ in first }
    }

    /// The first volume with this id.
    subscript(id: String) -> SimulatedVolume? {
        positions[id].map { all[$0] }
    }

    /// Removes all volumes with this id.
    mutating func remove(_ id: String) {
        self = VolumeTable(all.filter { $0.id != id })
    }

    /// Changes the first volume with this id, or a new one that is appended.
    mutating func change(_ id: String, _ change: (inout SimulatedVolume) -> Void) {
        if let position = positions[id] {
            change(&all[position])
        } else {
            var volume = SimulatedVolume(id: id)
            change(&volume)
            positions[id] = all.count
            all.append(volume)
        }
    }
}
