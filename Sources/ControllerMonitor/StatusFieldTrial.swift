// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import ControllerCore
import HealthCore
package import KubernetesClient

/// Whether the API server keeps `status.healthStatus` of claims, tested with a dry run. For `doctor`: the monitor
/// itself tests it with its first status update.
package enum StatusFieldTrial: Sendable, Equatable {
    case kept
    case dropped
    /// No claim is suitable: there is none, or the first 20 have the field already. An API server without the feature
    /// gate may preserve a field that exists, so these prove nothing.
    case noClaim

    /// Writes the field of one of the first claims in a dry run. Nothing is stored.
    ///
    /// - Throws: ``KubernetesError``, also if an admission webhook rejects dry runs, or if the claim has changed
    ///   meanwhile (`conflict`).
    ///
    /// RBAC: `list` on `persistentvolumeclaims`, `patch` on `persistentvolumeclaims/status`.
    package static func run(_ kubernetes: KubernetesClient) async throws(KubernetesError) -> StatusFieldTrial {
        var pages = kubernetes.list(WatchedClaim.self, limit: 20).makeAsyncIterator()
        var page = try await pages.next()
        while let candidate = try page?.next() {
            guard !candidate.hasHealthStatus else { continue }
            let response: WatchedClaim = try await kubernetes.patch(
                name: candidate.claim.key.name,
                namespace: candidate.claim.key.namespace,
                .healthStatus(
                    [.init(status: .degraded, reason: "DryRun", message: "")],
                    uid: candidate.claim.uid,
                    resourceVersion: candidate.claim.resourceVersion,
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
