// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

package import CSIClient
import HealthCore
package import HealthRuntime
package import KubernetesClient
package import Logging
package import NodeCore

/// The agent of one node: probes the CSI drivers of the node for the health of the volumes of its pods, and reports it
/// on the pods by events and, where they name it, by a readiness condition.
///
/// The pure ``NodeCore/NodeHealthState`` makes all decisions; the parts of the monitor supply its input and carry out
/// what it returns:
///
/// ```
/// drivers ──▶ DriverMonitor (one for each) ──▶ NodeHealthState ──▶ NodeReporter, ReadinessReporter ──▶ API server
/// API server ──▶ PodWatcher, ClaimResolver, EventReadback ──▶ │
/// ```
///
/// While all volumes are healthy, it keeps one watch open and makes no other request to the API server.
///
/// RBAC: `list` and `watch` on `pods`; `get` on `persistentvolumeclaims` and `persistentvolumes`; `create`, `get` and
/// `patch` on `events`; with ``NodeMonitorConfiguration/writesReadinessCondition``, `patch` on `pods/status`.
package struct NodeMonitor: Sendable {
    private let context: NodeContext
    private let random: @Sendable () -> Double
    private let pods: PodWatcher
    private let drivers: DriverSource
    private let claims: ClaimResolver
    private let readback: EventReadback
    private let reporter: NodeReporter
    private let readiness: ReadinessReporter

    /// A monitor that sends nothing before ``run()``, which is called once.
    ///
    /// - Parameters:
    ///   - kubernetes: for the watch, reads and conditions.
    ///   - events: for events: a client with a lower rate limit of its own, one per second with a burst of five,
    ///     because in an outage every node of the cluster has events.
    ///   - random: returns random numbers from 0 up to 1.
    ///   - calls: called after every call to a driver.
    ///   - observer: called for everything else that metrics count.
    package init(
        configuration: NodeMonitorConfiguration,
        kubernetes: KubernetesClient,
        events: KubernetesClient,
        clock: some Clock<Duration>,
        logger: Logger,
        random: @escaping @Sendable () -> Double = { .random(in: 0..<1) },
        calls: @escaping @Sendable (CSIClient.CallObservation) -> Void = { _ in },
        observer: @escaping @Sendable (MonitorObservation) -> Void = { _ in }
    ) {
        let seed = UInt64(random() * 0x1p53)
        context = NodeContext(
            configuration: configuration,
            kubernetes: kubernetes,
            events: events,
            time: ElapsedTime(clock),
            logger: logger,
            observer: observer,
            state: SharedNodeState(NodeHealthState(configuration: .init(configuration), seed: seed))
        )
        self.random = random
        pods = PodWatcher(context)
        drivers = DriverSource(context, observeCall: calls)
        claims = ClaimResolver(context)
        readback = EventReadback(context)
        reporter = NodeReporter(context, attempts: AttemptIDs())
        readiness = ReadinessReporter(context)
    }

    /// Monitors until cancelled. Failures of drivers or of the API server do not end it, except as below.
    ///
    /// - Throws: `CancellationError` on cancellation, within the time of a local call. With
    ///   ``NodeMonitorConfiguration/Drivers/socket(_:)``: ``DriverRenamedError`` when another driver responds on the
    ///   socket, `GRPCError` when the address is invalid.
    package func run() async throws {
        try await context.time.sleep(for: context.configuration.startJitter * random())
        try await runAll([
            { try await pods.run() },
            { try await drivers.run() },
            { try await claims.run() },
            { try await readback.run() },
            { try await reporter.run() },
            { try await readiness.run() },
        ])
    }
}

// MARK: For metrics and health pages

extension NodeMonitor {
    /// The health of the volumes and drivers. Its times are those of ``now``.
    package func snapshot() -> NodeHealthSnapshot {
        let now = context.now
        return context.state.withLock { $0.snapshot(at: now) }
    }

    /// The reports that have failed and wait; nil when there are none.
    package func reportFailure() -> ReportFailure? {
        let (failing, waiting) = context.state.withLock { ($0.failingReports, $0.waitingReports) }
        return ReportFailure(
            .sum([failing.events, failing.conditions]),
            waiting: waiting,
            error: failing.events == nil ? readiness.lastError : reporter.lastError,
            at: now
        )
    }

    /// The time on the clock of the snapshots.
    package var now: Duration { context.now }

    /// What works and what fails now.
    package func status() -> NodeMonitorStatus {
        let now = context.now
        let snapshot = snapshot()
        let known = Dictionary(snapshot.drivers.map { ($0.name, $0) }) { first, _ in first }
        let drivers = drivers.monitors.map { monitor in
            NodeMonitorStatus.Driver(
                address: monitor.address,
                monitor.current,
                monitor.current.name.flatMap { known[$0] },
                at: now
            )
        }
        let activity = pods.activity
        return NodeMonitorStatus(
            drivers: drivers.sorted { ($0.name ?? "", $0.address) < ($1.name ?? "", $1.address) },
            discoveryProblem: self.drivers.problem,
            watch: NodeMonitorStatus.Watch(
                silence: activity.lastReceived.map { now - $0 },
                failure: activity.failure.map { .init(age: now - $0.since, reason: $0.reason) }
            )
        )
    }
}

extension NodeHealthState.Configuration {
    init(_ configuration: NodeMonitorConfiguration) {
        self.init(
            kubeletRoot: configuration.kubeletRootPath,
            interval: configuration.monitorInterval,
            workerThreads: configuration.workerThreads,
            reportsMissingVolumes: configuration.reportsMissingVolumes,
            writesReadiness: configuration.writesReadinessCondition,
            legacyConditionsCount: configuration.legacyAbnormalIsNotReady,
            recordsStorageEvents: configuration.recordsNodeEvents,
            flapping: FlappingLimits(threshold: configuration.flappingThreshold),
            reportDelay: configuration.reportDelay
        )
    }
}
