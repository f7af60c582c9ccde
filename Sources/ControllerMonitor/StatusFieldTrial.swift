// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import ControllerCore
import HealthCore
package import KubernetesClient

/// Whether the API server keeps `status.healthStatus` of claims, as a dry run shows.
package enum StatusFieldTrial: Sendable, Equatable {
    case kept
    case dropped
    /// No claim is suitable: there is none, or all have the field already, which an API server without the feature gate
    /// may preserve.
    case noClaim

    /// Tries to write the field of one of the first claims. Nothing is stored.
    ///
    /// RBAC: `list` on `persistentvolumeclaims`, `patch` on `persistentvolumeclaims/status`.
    package static func run(_ kubernetes: KubernetesClient) async throws(KubernetesError) -> StatusFieldTrial {
        var pages = kubernetes.list(WatchedClaim.self, limit: 20).makeAsyncIterator()
        var page = try await pages.next()
        while let found = try page?.next() {
            guard !found.hasHealthStatus else { continue }
            let response: WatchedClaim = try await kubernetes.patch(
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
            return response.hasHealthStatus ? .kept : .dropped
        }
        return .noClaim
    }
}
