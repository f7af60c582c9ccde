// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import CSIClient

/// How a driver is asked for the health of its volumes, chosen by its capabilities.
enum ProbeStrategy: Sendable, Hashable {
    /// In whose terms a driver reports health.
    enum Generation: String, Sendable, Hashable {
        /// `VolumeCondition`, CSI 1.3 to 1.12.
        case legacy
        /// `VolumeHealth`, CSI 1.13 and later.
        case health
    }

    /// By lists. `canConfirm`: a single volume can be asked for too.
    case list(Generation, canConfirm: Bool)
    /// One volume after the other.
    case get(Generation)
    /// It does not report.
    case none

    /// A driver that offers both generations is asked in the new one.
    init(_ capabilities: Set<ControllerCapability>) {
        if capabilities.contains(.listVolumeHealth) {
            self = .list(.health, canConfirm: capabilities.contains(.getVolumeHealth))
        } else if capabilities.contains(.getVolumeHealth) {
            self = .get(.health)
        } else if capabilities.isSuperset(of: [.volumeCondition, .listVolumes]) {
            self = .list(.legacy, canConfirm: capabilities.contains(.getVolume))
        } else if capabilities.isSuperset(of: [.volumeCondition, .getVolume]) {
            self = .get(.legacy)
        } else {
            self = .none
        }
    }

    /// nil for a driver that does not report.
    var generation: Generation? {
        switch self {
        case .list(let generation, _), .get(let generation): generation
        case .none: nil
        }
    }

    /// The RPC that reports most, for people.
    var method: String {
        switch self {
        case .list(.health, _): "ControllerListVolumeHealth"
        case .list(.legacy, _): "ListVolumes"
        case .get(.health): "ControllerGetVolumeHealth"
        case .get(.legacy): "ControllerGetVolume"
        case .none: "none"
        }
    }

    /// What a driver without any of them is reported to offer.
    static let missingCapabilities = """
        the driver does not report the health of its volumes: it needs the controller capabilities LIST_VOLUME_HEALTH or \
        GET_VOLUME_HEALTH (CSI 1.13), or VOLUME_CONDITION with LIST_VOLUMES or GET_VOLUME (CSI 1.3 to 1.12)
        """
}
