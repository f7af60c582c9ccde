// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// A fault by its seam: what a ``FaultInjector`` brings about.
package enum Fault: Hashable, Sendable {
    /// Of the CSI driver.
    case driver(DriverFault)
    /// Of the API server and the way to it.
    case apiServer(APIServerFault)
    /// Of the objects and the clock.
    case cluster(ClusterFault)

    /// All of them, seam by seam.
    package static let all =
        DriverFault.allCases.map(Fault.driver) + APIServerFault.allCases.map(Fault.apiServer)
        + ClusterFault.allCases.map(Fault.cluster)

    /// Seam and name: `driver/slow`, `api-server/lost-responses`, `cluster/claim-recreated`.
    package var name: String {
        switch self {
        case .driver(let fault): "driver/\(fault.rawValue)"
        case .apiServer(let fault): "api-server/\(fault.rawValue)"
        case .cluster(let fault): "cluster/\(fault.rawValue)"
        }
    }

    /// The fault of this name; nil when there is none.
    package init?(name: String) {
        guard let fault = Self.all.first(where: { $0.name == name }) else { return nil }
        self = fault
    }
}
