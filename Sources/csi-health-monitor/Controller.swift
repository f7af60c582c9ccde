// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Flags
import HTTPEndpoint
import KubernetesClient
import LeaderElection
import Logging
import Metrics
import ServiceLifecycle
import UnixSignals

/// The paths of the health checks. The first one is external-health-monitor's, the last two are kube-apiserver's.
enum HealthPath {
    static let leaderElection = "/healthz/leader-election"
    static let driver = "/healthz/driver"
    static let readiness = "/readyz"
    static let liveness = "/livez"
}

/// Wires the controller's services and runs them until a signal or an error.
enum Controller {
    /// Runs until SIGTERM or SIGINT.
    ///
    /// - Throws: errors that retries cannot fix: an invalid kubeconfig, an address that is in use, another driver on
    ///   the socket.
    static func run(_ options: ControllerOptions) async throws {
        let log = ControllerLog(format: options.loggingFormat, verbosity: options.verbosity)
        let logger = log.logger
        logger.notice("Starting", metadata: ["version": "\(Program.version)", "csiAddress": "\(options.csiAddress)"])
        logIgnoredFlags(of: options, to: logger)

        let registry = MetricsRegistry()
        let status = ControllerStatus()
        let metrics = SidecarMetrics(
            registry: registry,
            configuration: .init(options),
            driverName: status.driverName,
            snapshot: status.snapshot
        )
        let healthChecks = HealthChecks()
        var services: [any Service] = []
        if let endpoint = options.endpoint {
            services.append(
                EndpointService(
                    endpoint: DiagnosticsEndpoint(
                        configuration: endpoint,
                        metrics: registry,
                        healthChecks: healthChecks
                    )
                )
            )
        }
        // Created before the driver is identified: a sidecar that waits for its driver is healthy.
        let health = options.leaderElection.map {
            LeaderElectionHealth(leaseDuration: $0.timing.leaseDuration)
        }
        if let health {
            healthChecks.register(path: HealthPath.leaderElection) { health.failure() }
        }
        healthChecks.register(path: HealthPath.driver, severity: .information) { status.driverProblem() }
        healthChecks.register(path: HealthPath.liveness) { nil }
        healthChecks.register(path: HealthPath.readiness) { status.readiness().checks }
        status.set(leaderElectionProblem: { health?.failure() })
        let permissions = DoctorPermission.all(options, leaseNamespace: "")
        status.set(optionalRules: Set(permissions.filter { !$0.isRequired }.map(\.request.rbacRule)))
        services.append(MonitorService(options: options, metrics: metrics, status: status, health: health, log: log))
        services.append(
            ReadinessService(
                reporter: ReadinessReporter(
                    checks: { status.readiness().checks },
                    summary: { status.summary() },
                    logger: logger
                )
            )
        )
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
        logger.notice("Stopped")
    }

    /// Logs the flags that were set and have no effect.
    static func logIgnoredFlags(of options: ControllerOptions, to logger: Logger) {
        if !options.flagsWithoutLeaderElection.isEmpty {
            logger.warning(
                "Ignored flags that require --leader-election",
                metadata: ["flags": "\(options.flagsWithoutLeaderElection.joined(separator: " "))"]
            )
        }
        if !options.ignoredFlags.isEmpty {
            logger.info(
                "Ignored flags of external-health-monitor",
                metadata: ["flags": "\(options.ignoredFlags.joined(separator: " "))"]
            )
        }
    }
}

/// Serves metrics and health checks until shutdown.
private struct EndpointService: Service {
    let endpoint: DiagnosticsEndpoint

    func run() async throws {
        try await untilShutdown { try await endpoint.run() }
    }
}

/// Logs lasting failures until shutdown.
private struct ReadinessService: Service {
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
