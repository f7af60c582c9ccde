// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

package import CSIClient
import ControllerCore
import HealthCore
package import KubernetesClient

/// Whether the API server keeps `status.healthStatus` of claims, found out by a dry run.
package enum StatusFieldTrial: Sendable, Equatable {
    case kept
    case dropped
    /// There is no claim to try it on: none, or only claims that have the field, which a server without it may keep.
    case noClaim

    /// Tries it on one of the first claims. Nothing is stored.
    ///
    /// RBAC: `list` on `persistentvolumeclaims`, `patch` on `persistentvolumeclaims/status`.
    package static func run(_ kubernetes: KubernetesClient) async throws(KubernetesError) -> StatusFieldTrial {
        var pages = kubernetes.list(WatchedClaim.self, limit: 20).makeAsyncIterator()
        var page = try await pages.next()
        while let found = try page?.next() {
            guard !found.hasHealthStatus else { continue }
            let answer: WatchedClaim = try await kubernetes.patch(
                name: found.claim.key.name,
                namespace: found.claim.key.namespace,
                .healthStatus(
                    [.init(status: .degraded, reason: "DryRun", message: "")],
                    uid: found.claim.uid,
                    resourceVersion: found.claim.resourceVersion,
                    transition: 0
                ),
                subresource: "status",
                dryRun: true
            )
            return answer.hasHealthStatus ? .kept : .dropped
        }
        return .noClaim
    }
}

/// What the monitor makes of a driver's capabilities.
package struct DriverSupport: Sendable, Equatable {
    /// The RPC that health is read by; nil: the driver reports no health.
    package var method: String?
    /// Whether that is a list of all volumes.
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
