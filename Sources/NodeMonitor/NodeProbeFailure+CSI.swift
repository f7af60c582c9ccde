// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

package import CSIClient
import GRPCTransport
import HealthCore
package import NodeCore

extension NodeProbeFailure {
    /// What a failed call means for the schedule.
    package init(_ error: CSIError) {
        switch error.code {
        case .status(.notFound): self = .notFound
        case .status(.invalidArgument): self = .invalidArgument
        case .status(.internal): self = .internal
        case .status(.deadlineExceeded): self = .deadlineExceeded
        case .status(.aborted): self = .aborted
        case .status(.unimplemented): self = .unimplemented
        case .status(.unavailable), .status(.cancelled): self = .unavailable
        default: self = .other
        }
    }
}

extension NodeCapabilities {
    init(_ capabilities: Set<NodeCapability>) { self.init(numbers: capabilities.map(\.rawValue)) }
}

extension NodeProbeStrategy {
    /// The RPC, for logs, metrics and health pages; nil where no RPC reports the health of volumes.
    package var method: String? {
        switch self {
        case .health: "NodeGetVolumeHealth"
        case .legacy: "NodeGetVolumeStats"
        case .none: nil
        }
    }

    /// The problem of a driver without any of the capabilities.
    package static let missingCapabilities = """
        the driver does not report the health of its volumes on nodes: it needs the node capability GET_VOLUME_HEALTH \
        (CSI 1.13) or VOLUME_CONDITION (CSI 1.3 to 1.12)
        """
}

extension StorageHealth {
    package init(_ problems: [DriverStorageHealth]) {
        self.init(
            problems.map { problem in
                let status: Status =
                    switch problem.status {
                    case .degraded: .degraded
                    case .unreachable: .unreachable
                    case .unknown(let type): .unknown(type)
                    }
                return Condition(status: status, reason: problem.reason, message: problem.message)
            }
        )
    }
}
