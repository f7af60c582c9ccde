// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import KubernetesClient

/// The metrics of requests to the API server.
protocol RequestMetrics: Sendable {
    /// Counts a request to the API server.
    func observe(_ request: KubernetesClient.RequestObservation)

    /// - Parameter resource: the plural: `persistentvolumeclaims`.
    func countUndecodableObject(resource: String)
}

extension SidecarMetrics: RequestMetrics {}
extension AgentMetrics: RequestMetrics {}

extension KubernetesClient {
    /// A client of the controller or the agent: metrics count its requests, and readiness checks show how they end.
    ///
    /// - Parameters:
    ///   - rateLimit: nil for no limit.
    ///   - requestTimeout: for each request, from sending to the end of the response.
    /// - Throws: `invalid` if a certificate or a key of the configuration is not usable.
    convenience init(
        _ configuration: KubernetesConfiguration,
        rateLimit: RateLimit?,
        requestTimeout: Duration = .seconds(60),
        metrics: some RequestMetrics,
        health: RequestHealth,
        log: ProgramLog
    ) throws(KubernetesConfigurationError) {
        try self.init(
            configuration: configuration,
            userAgent: Program.userAgent,
            rateLimit: rateLimit,
            requestTimeout: requestTimeout,
            logger: log.requests
        ) {
            metrics.observe($0)
            health.observe($0)
        } skippedObject: {
            metrics.countUndecodableObject(resource: $0.resource)
        }
    }
}
