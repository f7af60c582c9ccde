// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import CSIClient
import ControllerCore
import ControllerMonitor
import Diagnostics
import Flags
import Glibc
import HealthCore
import HealthRuntime
import KubernetesClient
import LeaderElection
import Logging
import ServiceLifecycle
import UnixSignals

/// The controller, wired: the endpoint and the monitor, run until a signal or an error ends them.
enum Controller {
    /// Runs until SIGTERM or SIGINT.
    ///
    /// - Throws: what makes it impossible to go on: the kubeconfig, the endpoint's address, another driver on the socket.
    static func run(_ options: ControllerOptions) async throws {
        let log = ControllerLog(format: options.loggingFormat, verbosity: options.verbosity)
        let logger = log.logger
        logger.notice("Starting", metadata: ["version": "\(Program.version)", "csiAddress": "\(options.csiAddress)"])
        if !options.meaninglessFlags.isEmpty {
            logger.info(
                "Ignored flags of external-health-monitor",
                metadata: ["flags": "\(options.meaninglessFlags.joined(separator: " "))"]
            )
        }

        let registry = MetricsRegistry()
        let running = RunningMonitor()
        let metrics = SidecarMetrics(
            registry: registry,
            configuration: .init(options),
            driverName: running.driverName,
            snapshot: running.snapshot
        )
        let healthChecks = HealthChecks()
        var services: [any Service] = []
        if let endpoint = options.endpoint {
            let configuration = DiagnosticsEndpoint.Configuration(
                address: endpoint.address,
                metricsPath: endpoint.metricsPath
            )
            services.append(
                EndpointService(
                    endpoint: DiagnosticsEndpoint(
                        configuration: configuration,
                        metrics: registry,
                        healthChecks: healthChecks
                    )
                )
            )
        }
        // There from the beginning: a sidecar that waits for its driver is a healthy one.
        let health = options.leaderElection.map {
            LeaderElectionHealth(leaseDuration: $0.timing.leaseDuration, clock: ContinuousClock())
        }
        if let health {
            healthChecks.register(path: HealthChecks.leaderElectionPath) { health.failure() }
        }
        healthChecks.register(path: HealthChecks.driverPath, severity: .information) { running.driverProblem() }
        healthChecks.register(path: HealthChecks.livenessPath) { nil }
        healthChecks.register(path: HealthChecks.readinessPath) { running.readiness().checks }
        running.set(leaderElectionProblem: { health?.failure() })
        let permissions = DoctorPermission.all(options, leaseNamespace: "")
        running.set(optionalRules: Set(permissions.filter { !$0.isRequired }.map(\.request.rbacRule)))
        services.append(
            MonitorService(options: options, metrics: metrics, running: running, health: health, log: log)
        )
        services.append(
            ReadinessService(
                reporter: ReadinessReporter(
                    checks: { running.readiness().checks },
                    summary: { running.summary() },
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
}

/// Serves metrics and health until the shutdown.
private struct EndpointService: Service {
    let endpoint: DiagnosticsEndpoint

    func run() async throws {
        try await untilShutdown { try await endpoint.run() }
    }
}

/// Logs what fails for long until the shutdown.
private struct ReadinessService: Service {
    let reporter: ReadinessReporter

    func run() async throws {
        try await untilShutdown { try await reporter.run(clock: ContinuousClock()) }
    }
}

/// Finds the driver, contends for its lease where that is wanted, and monitors its volumes, until the shutdown.
private struct MonitorService: Service {
    let options: ControllerOptions
    let metrics: SidecarMetrics
    let running: RunningMonitor
    /// nil: work without a lease.
    let health: LeaderElectionHealth<ContinuousClock>?
    let log: ControllerLog

    private var logger: Logger { log.logger }

    func run() async throws {
        try await untilShutdown { try await monitor() }
    }

    private func monitor() async throws {
        if options.nodeDeployment, nodeName == nil {
            throw UsageError(
                message:
                    "--node-deployment needs the environment variable NODE_NAME: set it from the pod's spec.nodeName"
            )
        }
        let environment = environment(KubernetesConfiguration.variables)
        let configuration =
            if let kubeconfig = options.kubeconfig {
                try KubernetesConfiguration.load(kubeconfig: kubeconfig, environment: environment)
            } else {
                try KubernetesConfiguration.inCluster(environment: environment)
            }
        configuration.logWarnings(to: logger)
        let (metrics, running) = (metrics, running)
        let driver = try CSIClient(
            configuration: .init(
                address: options.csiAddress,
                timeout: options.timeout,
                maxEntries: options.listMaxEntries
            ),
            logger: logger
        ) { metrics.observe($0) }
        running.set(driver)
        let kubernetes = try KubernetesClient(
            configuration: configuration,
            userAgent: Self.userAgent,
            rateLimit: options.rateLimit.map { .init(queriesPerSecond: $0.queriesPerSecond, burst: $0.burst) },
            logger: log.requests
        ) {
            metrics.observe($0)
            running.observe($0)
        } skippedObject: {
            metrics.observe($0)
        }
        do {
            try await monitor(driver, kubernetes, configuration)
        } catch {
            await kubernetes.shutdown()
            await driver.shutdown()
            throw error
        }
    }

    private func monitor(
        _ driver: CSIClient,
        _ kubernetes: KubernetesClient,
        _ configuration: KubernetesConfiguration
    ) async throws {
        let running = running
        let name = try await driver.identify(clock: ContinuousClock()) { error, _ in
            running.identifyFailed(driver.problem(error))
        }.name
        running.identified()
        log.identified(as: name)
        let identity = LeaseName.identity(hostName: environment(["POD_NAME"])["POD_NAME"] ?? hostName())
        guard let election = options.leaderElection, let health else {
            return try await monitor(driver, kubernetes, name: name, identity: identity).run()
        }
        let metrics = metrics
        // A client of its own: the monitor's rate limit must not cost the lease. One request may take half of the renew
        // deadline, so that one that hangs can be sent again: client-go, tools/leaderelection/resourcelock/interface.go,
        // NewFromKubeconfig.
        let leaseClient = try KubernetesClient(
            configuration: configuration,
            userAgent: Self.userAgent,
            rateLimit: nil,
            requestTimeout: max(election.timing.renewDeadline / 2, .seconds(1)),
            logger: log.requests
        ) {
            metrics.observe($0)
            running.observe($0)
        }
        let namespace =
            election.namespace ?? environment(["POD_NAMESPACE"])["POD_NAMESPACE"] ?? configuration.defaultNamespace
        // One for each node, for each has volumes of its own.
        let leaseName = LeaseName.controller(driverName: nodeName.map { "\(name)-\($0)" } ?? name)
        let elector = LeaderElector(
            client: leaseClient,
            configuration: .init(
                namespace: namespace,
                name: leaseName,
                identity: identity,
                labels: election.labels,
                timing: election.timing
            ),
            clock: ContinuousClock(),
            health: health,
            logger: logger
        ) { change in
            if case .ended(.steppedDown(let error)) = change { metrics.countStepDown(error.kind) }
            await LeadershipEvents(
                client: kubernetes,
                namespace: namespace,
                lease: leaseName,
                identity: identity,
                logger: logger
            ).record(change)
        }
        running.set(leaseName: leaseName) { elector.isLeading }
        let monitor = monitor(driver, kubernetes, name: name, identity: identity) { elector.isLeading }
        do {
            try await monitor.run(warmStandby: election.warmStandby) { lead in
                try await elector.run(isFit: { monitor.isReadyToLead }) {
                    metrics.termBegan()
                    do {
                        try await lead()
                    } catch let error as DependencyError {
                        throw StepDown(kind: error.dependency.rawValue, reason: error.description)
                    }
                }
            }
        } catch {
            await leaseClient.shutdown()
            throw error
        }
    }

    private func monitor(
        _ driver: CSIClient,
        _ kubernetes: KubernetesClient,
        name: String,
        identity: String,
        isLeading: @escaping @Sendable () -> Bool = { true }
    ) -> HealthMonitor {
        let metrics = metrics
        var configuration = options.monitorConfiguration(driverName: name, identity: identity)
        configuration.nodeName = nodeName
        configuration.hostNodeName = hostNodeName
        let monitor = HealthMonitor(
            configuration: configuration,
            driver: driver,
            kubernetes: kubernetes,
            clock: ContinuousClock(),
            logger: logger,
            isLeading: isLeading
        ) { metrics.observe($0) }
        running.set(monitor)
        return monitor
    }

    /// Those of the variables that are set and not empty.
    private func environment(_ names: [String]) -> [String: String] {
        var variables: [String: String] = [:]
        for name in names {
            // getenv(3): nobody changes the environment of this process.
            guard let value = unsafe getenv(name) else { continue }
            variables[name] = unsafe String(cString: value)
        }
        return variables.filter { !$0.value.isEmpty }
    }

    /// The node whose volumes alone are monitored; nil: all of the driver's volumes are.
    private var nodeName: String? { options.nodeDeployment ? hostNodeName : nil }

    /// The node on which this process runs, where the pod says so.
    private var hostNodeName: String? { environment(["NODE_NAME"])["NODE_NAME"] }

    private static var userAgent: String { "csi-health-monitor/\(Program.version)" }

    /// In a Pod, the Pod's name.
    private func hostName() -> String {
        // gethostname(2): HOST_NAME_MAX is 64 on Linux; the rest of the buffer stays zero.
        var buffer = [CChar](repeating: 0, count: 256)
        guard unsafe gethostname(&buffer, buffer.count - 1) == 0 else { return "unknown" }
        return String(decoding: buffer.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }
}

/// Cancels `operation` at the graceful shutdown, and returns normally then.
private func untilShutdown(_ operation: @escaping @Sendable () async throws -> Void) async throws {
    do {
        try await cancelWhenGracefulShutdown { try await operation() }
    } catch is CancellationError {
        return
    }
}
