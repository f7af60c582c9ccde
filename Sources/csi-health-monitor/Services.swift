// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HTTPEndpoint
import Logging
import Metrics
import ServiceLifecycle
import UnixSignals

/// The paths of the health checks. The first one is external-health-monitor's, the last two are kube-apiserver's.
enum HealthPath {
    static let leaderElection = "/healthz/leader-election"
    static let driver = "/healthz/driver"
    static let drivers = "/healthz/drivers"
    static let readiness = "/readyz"
    static let liveness = "/livez"
}

/// What the controller and the agent have in common as processes.
enum Services {
    /// Runs a monitor until SIGTERM or SIGINT, or until one of its services ends.
    ///
    /// - Parameters:
    ///   - endpoint: nil: there is no address to serve HTTP on.
    ///   - readiness: logs what the readiness checks of the process show.
    /// - Throws: the first error of a service.
    static func run(
        _ monitor: some Service,
        endpoint: EndpointService?,
        readiness: ReadinessReporter
    ) async throws {
        let services: [(any Service)?] = [
            endpoint, monitor, ReadinessService(reporter: readiness), ProgramImageService(),
        ]
        let group = ServiceGroup(
            configuration: ServiceGroupConfiguration(
                services: services.compactMap(\.self).map {
                    .init(service: $0, successTerminationBehavior: .gracefullyShutdownGroup)
                },
                gracefulShutdownSignals: [.sigterm, .sigint],
                logger: Logger(label: "lifecycle") { _ in SwiftLogNoOpLogHandler() }
            )
        )
        try await group.run()
    }

    /// Logs the flags of external-health-monitor that were set and have no effect.
    static func logIgnored(_ flags: [String], to logger: Logger) {
        guard !flags.isEmpty else { return }
        logger.info(
            "Ignored flags of external-health-monitor",
            metadata: ["flags": "\(flags.joined(separator: " "))"]
        )
    }
}

/// Serves metrics, health checks and pages until shutdown.
struct EndpointService: Service {
    private let endpoint: DiagnosticsEndpoint

    init(
        _ configuration: DiagnosticsEndpoint.Configuration,
        metrics: MetricsRegistry,
        healthChecks: HealthChecks,
        pages: Pages,
        logger: Logger
    ) {
        endpoint = DiagnosticsEndpoint(
            configuration: configuration,
            metrics: metrics,
            healthChecks: healthChecks,
            pages: pages,
            didListen: { logger.notice("Serving HTTP", metadata: ["address": "\($0)"]) }
        )
    }

    func run() async throws {
        try await untilShutdown { try await endpoint.run() }
    }
}

/// Logs lasting failures until shutdown.
struct ReadinessService: Service {
    let reporter: ReadinessReporter

    func run() async throws {
        try await untilShutdown { try await reporter.run(clock: ContinuousClock()) }
    }
}

/// Runs `operation` until graceful shutdown, which cancels it and is no error.
func untilShutdown(_ operation: @escaping @Sendable () async throws -> Void) async throws {
    do {
        try await cancelWhenGracefulShutdown { try await operation() }
    } catch is CancellationError {
        return
    }
}
