// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Flags
import HTTPEndpoint
import KubernetesClient
import LeaderElection
import Logging
import Metrics

/// Wires the controller's services and runs them until a signal or an error.
enum Controller {
    /// Runs until SIGTERM or SIGINT.
    ///
    /// - Throws: errors that retries cannot fix: an invalid kubeconfig, an address that is in use, another driver on
    ///   the socket.
    static func run(_ options: ControllerOptions) async throws {
        let log = ProgramLog(format: options.loggingFormat, verbosity: options.verbosity)
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
        let pages = Pages()
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
        let metricsPath = (options.endpoint?.metricsPath).map { [$0] } ?? []
        pages.registerController(
            options,
            status: status,
            recentErrors: log.recentErrors,
            paths: metricsPath + healthChecks.paths
        )
        status.set(leaderElectionProblem: {
            health?.problem().map { ReadinessFailure(age: $0.age, reason: $0.reason) }
        })
        let permissions = DoctorPermission.all(options, leaseNamespace: "")
        status.set(optionalRules: Set(permissions.filter { !$0.isRequired }.map(\.request.rbacRule)))
        try await Services.run(
            MonitorService(options: options, metrics: metrics, status: status, health: health, log: log),
            endpoint: options.endpoint.map {
                EndpointService($0, metrics: registry, healthChecks: healthChecks, pages: pages, logger: logger)
            },
            readiness: ReadinessReporter(
                checks: { status.readiness().checks + status.reportChecks() },
                summary: { status.summary() },
                logger: logger
            )
        )
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
        Services.logIgnored(options.ignoredFlags, to: logger)
    }
}
