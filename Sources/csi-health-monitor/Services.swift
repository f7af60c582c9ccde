// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HTTPEndpoint
import Logging
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
    /// Runs services until SIGTERM or SIGINT, or until one of them ends.
    ///
    /// - Throws: the first error of a service.
    static func run(_ services: [any Service]) async throws {
        let group = ServiceGroup(
            configuration: ServiceGroupConfiguration(
                services: services.map {
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

/// Serves metrics and health checks until shutdown.
struct EndpointService: Service {
    let endpoint: DiagnosticsEndpoint

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
