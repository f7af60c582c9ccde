// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import CSIClient
import ControllerCore
import ControllerMonitor
import Flags
import HealthCore
import HealthRuntime
import KubernetesClient
import LeaderElection
import Logging
import ServiceLifecycle

/// Identifies the driver, takes part in leader election if enabled, and monitors the driver's volumes until shutdown.
struct MonitorService: Service {
    let options: ControllerOptions
    let metrics: SidecarMetrics
    let status: ControllerStatus
    /// nil without leader election.
    let health: LeaderElectionHealth?
    let log: ProgramLog

    private var logger: Logger { log.logger }

    func run() async throws {
        try await untilShutdown { try await connect() }
    }

    /// Creates the clients of the driver and of the API server, and shuts them down in the end.
    private func connect() async throws {
        if options.nodeDeployment, nodeName == nil {
            throw UsageError(
                message:
                    "--node-deployment requires the environment variable NODE_NAME: set it from the pod's spec.nodeName"
            )
        }
        let configuration = try KubernetesConfiguration.load(kubeconfig: options.kubeconfig)
        configuration.logWarnings(to: logger)
        let metrics = metrics
        let driver = try CSIClient(
            configuration: .init(
                address: options.csiAddress,
                timeout: options.timeout,
                maxEntries: options.listMaxEntries
            ),
            logger: logger
        ) { metrics.observe($0) }
        status.set(driver)
        let kubernetes = try KubernetesClient(
            configuration,
            rateLimit: options.rateLimit,
            metrics: metrics,
            health: status.requests,
            log: log
        )
        do {
            try await runAll([
                { try await identifyAndMonitor(driver, kubernetes, configuration) },
                { try await status.requests.reviewRefusals(kubernetes) },
            ])
        } catch {
            await kubernetes.shutdown()
            await driver.shutdown()
            throw error
        }
    }

    private func identifyAndMonitor(
        _ driver: CSIClient,
        _ kubernetes: KubernetesClient,
        _ configuration: KubernetesConfiguration
    ) async throws {
        let status = status
        let name = try await driver.waitForIdentity(clock: ContinuousClock()) { error, _ in
            status.identifyFailed(driver.explanation(of: error))
        }.name
        status.identified()
        log.identified(as: name)
        let identity = LeaseName.sanitized(ProcessEnvironment.variable("POD_NAME") ?? ProcessEnvironment.hostName)
        guard let election = options.leaderElection, let health else {
            return try await makeMonitor(driver, kubernetes, name: name, identity: identity).run()
        }
        let metrics = metrics
        // A separate client, so that the monitor's rate limit cannot delay a renewal. A request times out after half of
        // the renew deadline, so that it can be retried: client-go, tools/leaderelection/resourcelock/interface.go,
        // NewFromKubeconfig.
        let leaseClient = try KubernetesClient(
            configuration,
            rateLimit: nil,
            requestTimeout: max(election.timing.renewDeadline / 2, .seconds(1)),
            metrics: metrics,
            health: status.requests,
            log: log
        )
        let namespace =
            election.namespace ?? ProcessEnvironment.variable("POD_NAMESPACE") ?? configuration.defaultNamespace
        // With --node-deployment a Lease for each node, because each instance monitors the volumes of its node.
        let leaseName = LeaseName.controller(driverName: name, nodeName: nodeName)
        let elector = LeaderElector(
            client: leaseClient,
            configuration: .init(
                namespace: namespace,
                name: leaseName,
                identity: identity,
                labels: election.labels,
                timing: election.timing
            ),
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
        status.set(leaseName: leaseName) { elector.isLeading }
        let monitor = makeMonitor(driver, kubernetes, name: name, identity: identity) { elector.isLeading }
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

    private func makeMonitor(
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
        status.set(monitor)
        return monitor
    }

    /// The node whose volumes are monitored; nil: all of the driver's volumes are.
    private var nodeName: String? { options.nodeDeployment ? hostNodeName : nil }

    /// The node of this pod, if its manifest sets NODE_NAME.
    private var hostNodeName: String? { ProcessEnvironment.variable("NODE_NAME") }
}
