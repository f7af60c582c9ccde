// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

package import KubernetesAPI

/// The objects from which the health of claims is read. nil: this user may not list them.
package struct ClusterSnapshot: Sendable {
    package var claims: [ObjectName: ListedClaim] = [:]
    /// By name.
    package var volumes: [String: ListedVolume]? = [:]
    package var pods: [ObjectName: ListedPod]? = [:]
    /// By the events' own names.
    package var events: [ObjectName: ListedEvent]? = [:]
    /// The events on CSIDrivers whose volumes are missing; all in the namespace `default`.
    package var driverEvents: [ListedEvent]? = []
    /// The Leases of controllers, of all drivers.
    package var leases: [Lease]? = []

    package init() {}
}
