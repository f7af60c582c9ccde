// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Flags
import HTTPEndpoint
import HealthRuntime
import KubernetesClient
import Logging
import Metrics
import NodeMonitor
import ServiceLifecycle

/// Wires the agent's services and runs them until a signal or an error.
enum Agent {
    /// Runs until SIGTERM or SIGINT.
    ///
    /// - Throws: errors that retries cannot fix: an invalid kubeconfig, an address that is in use, another driver on
    ///   the socket of `--csi-address`.
    static func run(_ options: AgentOptions) async throws {
        let log = ProgramLog(format: options.loggingFormat, verbosity: options.verbosity)
        let logger = log.logger
        logger.notice(
            "Starting",
            metadata: [
                "version": "\(Program.version)", "node": "\(options.nodeName)",
                "csiAddress": "\(options.csiAddress ?? "all drivers")",
            ]
        )
        Services.logIgnored(options.ignoredFlags, to: logger)

        let registry = MetricsRegistry()
        let status = AgentStatus()
        let metrics = AgentMetrics(
            registry: registry,
            build: .current,
            monitorInterval: options.monitorInterval,
            snapshot: status.snapshot
        )
        let healthChecks = HealthChecks()
        healthChecks.register(path: HealthPath.drivers, severity: .information) { status.driversPage() }
        healthChecks.register(path: HealthPath.liveness) { nil }
        healthChecks.register(path: HealthPath.readiness) { status.readiness().checks }
        let pages = Pages()
        let paths = (options.endpoint?.metricsPath).map { [$0] } ?? []
        pages.registerAgent(options, status: status, paths: paths + healthChecks.paths)
        try await Services.run(
            AgentService(options: options, metrics: metrics, status: status, log: log),
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
}

/// Monitors the volumes of the node's pods until shutdown.
struct AgentService: Service {
    /// Of events. In an outage of a storage backend, the agents of all nodes record events at the same time.
    static let eventRateLimit = RateLimit(queriesPerSecond: 1, burst: 5)

    let options: AgentOptions
    let metrics: AgentMetrics
    let status: AgentStatus
    let log: ProgramLog

    func run() async throws {
        try await untilShutdown { try await connect() }
    }

    /// Creates the clients of the API server, and shuts them down in the end.
    private func connect() async throws {
        let connection = try KubernetesConfiguration.load(kubeconfig: options.kubeconfig)
        connection.logWarnings(to: log.logger)
        let kubernetes = try client(connection, options.rateLimit)
        let events = try client(connection, Self.eventRateLimit)
        let metrics = metrics
        var configuration = options.monitorConfiguration
        configuration.bootTime = BootTime.seconds()
        let monitor = NodeMonitor(
            configuration: configuration,
            kubernetes: kubernetes,
            events: events,
            clock: ContinuousClock(),
            logger: log.logger,
            calls: { metrics.observe($0) },
            observer: { metrics.observe($0) }
        )
        status.set(monitor)
        do {
            try await runAll([
                { try await monitor.run() },
                { try await status.requests.reviewRefusals(kubernetes) },
            ])
        } catch {
            await events.shutdown()
            await kubernetes.shutdown()
            throw error
        }
    }

    private func client(_ configuration: KubernetesConfiguration, _ rateLimit: RateLimit?) throws -> KubernetesClient {
        try KubernetesClient(
            configuration,
            rateLimit: rateLimit,
            metrics: metrics,
            health: status.requests,
            log: log
        )
    }
}
