// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// A fault that a ``FaultInjector`` injects.
package enum Fault: Hashable, Sendable {
    case driver(DriverFault)
    case apiServer(APIServerFault)
    case cluster(ClusterFault)

    /// All faults.
    package static let all =
        DriverFault.allCases.map(Fault.driver) + APIServerFault.allCases.map(Fault.apiServer)
        + ClusterFault.allCases.map(Fault.cluster)

    /// Component and name: `driver/slow`, `api-server/lost-responses`, `cluster/claim-recreated`.
    package var name: String {
        switch self {
        case .driver(let fault): "driver/\(fault.rawValue)"
        case .apiServer(let fault): "api-server/\(fault.rawValue)"
        case .cluster(let fault): "cluster/\(fault.rawValue)"
        }
    }

    /// nil when no fault has this name.
    package init?(name: String) {
        guard let fault = Self.all.first(where: { $0.name == name }) else { return nil }
        self = fault
    }
}
