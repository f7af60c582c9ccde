// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

package import CSIClient

/// How the driver is probed for the health of its volumes, chosen by its capabilities.
package enum ProbeStrategy: Sendable, Hashable {
    /// The version of the health API that the driver has.
    package enum Generation: String, Sendable, Hashable {
        /// `VolumeCondition`, CSI 1.3 to 1.12.
        case legacy
        /// `VolumeHealth`, CSI 1.13 and later.
        case health
    }

    /// By lists. `canConfirm`: the driver has a call for a single volume too.
    case list(Generation, canConfirm: Bool)
    /// Volume by volume.
    case get(Generation)
    /// The driver does not report health.
    case none

    /// Prefers the new generation when the driver has both.
    package init(_ capabilities: Set<ControllerCapability>) {
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

    /// - Parameter numbers: the values of `ControllerServiceCapability.RPC.Type` that the driver returned.
    package init(numbers: some Sequence<Int>) {
        self.init(Set(numbers.compactMap(ControllerCapability.init(number:))))
    }

    /// nil when the driver does not report health.
    package var generation: Generation? {
        switch self {
        case .list(let generation, _), .get(let generation): generation
        case .none: nil
        }
    }

    /// The main RPC, for logs and metrics.
    package var method: String {
        switch self {
        case .list(.health, _): "ControllerListVolumeHealth"
        case .list(.legacy, _): "ListVolumes"
        case .get(.health): "ControllerGetVolumeHealth"
        case .get(.legacy): "ControllerGetVolume"
        case .none: "none"
        }
    }

    /// The problem of a driver without any of these capabilities.
    package static let missingCapabilities = """
        the driver does not report the health of its volumes: it needs the controller capabilities LIST_VOLUME_HEALTH or \
        GET_VOLUME_HEALTH (CSI 1.13), or VOLUME_CONDITION with LIST_VOLUMES or GET_VOLUME (CSI 1.3 to 1.12)
        """
}

/// How the monitor uses a driver with these capabilities.
package struct DriverSupport: Sendable, Equatable {
    /// The RPC that reports health; nil: the driver reports none.
    package var method: String?
    /// Whether the RPC lists all volumes.
    package var isList = false
    /// What the driver lacks.
    package var problem: String?

    package init(_ capabilities: Set<ControllerCapability>) {
        let strategy = ProbeStrategy(capabilities)
        switch strategy {
        case .none: problem = ProbeStrategy.missingCapabilities
        case .list(let generation, let canConfirm):
            (method, isList) = (strategy.method, true)
            if generation == .health, !canConfirm {
                problem = "LIST_VOLUME_HEALTH without GET_VOLUME_HEALTH, which the CSI specification requires with it"
            }
        case .get: method = strategy.method
        }
    }
}
