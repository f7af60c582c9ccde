// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

package import CSIClient
import ControllerCore
import HealthCore
package import HealthRuntime
import KubernetesAPI
package import KubernetesClient
package import Logging
import Synchronization

/// The controller: watches PersistentVolumes and PersistentVolumeClaims, probes the driver for the health of its
/// volumes, and reports it on the claims by events and status.
///
/// The pure ``ControllerCore/HealthState`` makes all decisions; the parts of the monitor supply its input and carry out
/// what it returns:
///
/// ```
/// driver ──▶ Prober ─────────▶ HealthState ──▶ Reporter ──▶ API server
/// API server ──▶ ClusterWatcher ──▶ │
/// ```
///
/// For each driver, only one process may run it at a time: run it under a lease.
///
/// RBAC: `list` and `watch` on `persistentvolumes` and `persistentvolumeclaims`; `get` on `persistentvolumeclaims` and
/// `patch` on `persistentvolumeclaims/status`; `list`, `get`, `create` and `patch` on `events`. With volume secrets,
/// `get` on those `secrets`; with the node watcher, `list` and `watch` on `nodes` and `pods`.
package struct HealthMonitor: Sendable {
    private let context: MonitorContext
    private let watcher: ClusterWatcher
    private let prober: Prober
    private let reporter: Reporter
    private let nodeWatcher: NodeWatcher?
    private let dependencyWatcher: DependencyWatcher
    private let attempts = AttemptIDs()
    private let progress = Progress()

    /// A monitor that sends nothing before ``run()``. Call ``run()`` or ``run(warmStandby:elect:)`` once.
    ///
    /// - Parameters:
    ///   - isLeading: called before every call to the driver and every write; while it returns false, ``run()`` makes
    ///     neither and waits for its cancellation.
    ///   - observer: called from the tasks of ``run()`` for everything that metrics count.
    package init(
        configuration: MonitorConfiguration,
        driver: CSIClient,
        kubernetes: KubernetesClient,
        clock: some Clock<Duration>,
        logger: Logger,
        isLeading: @escaping @Sendable () -> Bool = { true },
        observer: @escaping @Sendable (MonitorObservation) -> Void = { _ in }
    ) {
        self.init(
            MonitorContext(
                configuration: configuration,
                driver: driver,
                kubernetes: kubernetes,
                time: ElapsedTime(clock),
                gate: LeadershipGate(logger: logger, isLeading: isLeading),
                logger: logger,
                observer: observer,
                dependencies: DependencyTracker(),
                state: SharedHealthState(HealthState(configuration: .init(configuration)))
            )
        )
    }

    /// A monitor of these parts.
    init(_ context: MonitorContext) {
        self.context = context
        watcher = ClusterWatcher(context)
        prober = Prober(context)
        reporter = Reporter(context, attempts: attempts)
        nodeWatcher = context.configuration.nodeFailureDuration.map { [reporter] in
            NodeWatcher(context: context, reporter: reporter, duration: $0)
        }
        dependencyWatcher = DependencyWatcher(context: context, prober: prober)
    }

    /// Monitors until cancelled. Failures of the driver or the API server do not end it, except as below.
    ///
    /// - Throws: `CancellationError` on cancellation, within the time of a local call; ``DriverChangedError`` when
    ///   another driver responds on the socket; ``DependencyError`` after ``MonitorConfiguration/dependencyTimeout``.
    package func run() async throws {
        try await run { lead in try await lead() }
    }

    /// Monitors as ``run()`` while the lease is held, in one term after the other.
    ///
    /// The watches of PersistentVolumes and PersistentVolumeClaims continue when a term ends, so that the next one
    /// begins without a list. Between terms no other request is made, except Identity calls to a driver that has
    /// failed, and lists of one object where a list was refused.
    ///
    /// - Parameters:
    ///   - warmStandby: whether the watches begin at once, not with the first term.
    ///   - elect: runs its argument while the lease is held, and cancels and awaits it when the lease is lost; one call
    ///     at a time, any number of times. Its argument throws ``DependencyError`` to release the lease. When `elect`
    ///     returns or throws, this does too.
    package func run(
        warmStandby: Bool = false,
        elect: @escaping @Sendable (_ lead: @escaping @Sendable () async throws -> Void) async throws -> Void
    ) async throws {
        context.state.update { $0.endTerm() }
        progress.begin()
        try await runAll([
            {
                if !warmStandby { await progress.firstTerm.wait() }
                try Task.checkCancellation()
                try await watcher.run()
            },
            { try await elect { try await lead() } },
            { try await dependencyWatcher.recheckOnStandby { progress.termBegan != nil } },
            { try await dependencyWatcher.checkPermissions { progress.termBegan != nil } },
        ])
    }

    /// One term.
    private func lead() async throws {
        beginTerm()
        defer { endTerm() }
        try await runAll([
            { try await monitor() },
            { try await dependencyWatcher.checkDriver() },
            { try await dependencyWatcher.endTermOnFailure() },
        ])
    }

    private func monitor() async throws {
        try await watcher.waitUntilSynced()
        // Rule 9: reads back what earlier leaders have reported before anything is reported.
        let isRestored = try await reporter.restore()
        try await runAll([
            { isRestored ? try await suspendUntilCancelled() : try await reporter.restoreLater() },
            { try await prober.run() },
            { try await prober.probeVolumes() },
            { try await reporter.run() },
            { try await watchNodes() },
        ])
    }

    private func watchNodes() async throws {
        guard let nodeWatcher else { return try await suspendUntilCancelled() }
        try await nodeWatcher.run()
    }

    /// Forgets everything but the caches, because another replica may have led meanwhile. The tasks of the last term
    /// have ended.
    private func beginTerm() {
        context.dependencies.beginTerm(at: context.now)
        context.gate.beginTerm()
        attempts.beginTerm()
        prober.beginTerm()
        context.state.update { $0.beginTerm() }
        watcher.beginTerm()
        progress.beginTerm(at: context.now)
    }

    /// Forgets everything but the caches: a standby needs nothing else.
    private func endTerm() {
        progress.endTerm()
        prober.endTerm()
        context.state.update { $0.endTerm() }
    }
}

// MARK: For metrics and health pages

extension HealthMonitor {
    /// The health of the volumes, for metrics; nil between terms.
    package func snapshot() -> HealthSnapshot? {
        guard let began = progress.termBegan else { return nil }
        let now = context.now
        let state = context.state
        let (strategy, lastSweep, lastRound) = prober.withTerm { ($0.strategy, $0.lastSweep, $0.lastRound) }
        let listAge =
            prober.isWithoutList ? nil : (now - (lastSweep ?? began)) / context.configuration.listVolumesInterval
        var (snapshot, claims) = state.withLock { state in
            var snapshot = HealthSnapshot(countsOf: state, strategy, at: now)
            snapshot.lastRound = lastRound
            snapshot.countStale(in: state, listAge: state.effectiveProbeInterval == nil ? listAge : nil, at: now)
            return (snapshot, state.unhealthyClaims)
        }
        // In an outage there are many, and reports wait for the lock: copies some at a time.
        while !claims.isEmpty {
            let batch = Array(claims.suffix(256))
            claims.removeLast(batch.count)
            let states = state.withLock { $0.unhealthyStates(of: batch) }
            for (claim, state, since) in states {
                snapshot.unhealthyClaims.append(.init(claim, state, age: now - since))
            }
        }
        return snapshot
    }

    /// The reports that have failed and wait; nil when there are none, and between terms. Waits for the lock of the
    /// state: for the log, not for health pages.
    package func reportFailure() -> ReportFailure? {
        guard progress.termBegan != nil else { return nil }
        let now = context.now
        let (failing, waiting) = context.state.withLock { state in
            (state.failingReports, state.eventBacklog.depth + state.statusBacklog.depth)
        }
        let nodes = nodeWatcher?.reports
        return ReportFailure(
            .sum([failing, nodes?.failing]),
            waiting: waiting + (nodes?.waiting ?? 0),
            error: reporter.dispatcher.lastError,
            at: now
        )
    }

    /// What works and what fails now; nil before ``run()``.
    package func status() -> MonitorStatus? {
        guard progress.hasBegun else { return nil }
        let now = context.now
        let termBegan = progress.termBegan
        let isWithoutList = prober.isWithoutList
        let configuration = context.configuration
        let (lastSweep, probeInterval) = prober.withTerm { ($0.lastSweep, $0.probeInterval) }
        let interval = isWithoutList ? configuration.monitorInterval : configuration.listVolumesInterval
        // Longer than configured where calls are slow or limited; also while lists cannot be used.
        let sweepInterval = max(interval, probeInterval ?? .zero)
        func failure(of dependency: Dependency) -> MonitorStatus.Failure? {
            context.dependencies.failure(of: dependency).map { .init(age: now - $0.since, reason: $0.reason) }
        }
        let callsInterval = prober.intervalOfFailingCalls(context.dependencies.failure(of: .calls))
        return MonitorStatus(
            isLeading: termBegan != nil,
            driver: failure(of: .driver),
            calls: failure(of: .calls).flatMap { failure in
                isWithoutList && failure.age < callsInterval ? nil : failure
            },
            watches: [
                MonitorStatus.Watch(WatchedVolume.resource.plural, watcher.volumes.activity, at: now),
                MonitorStatus.Watch(WatchedClaim.resource.plural, watcher.claims.activity, at: now),
            ].compactMap(\.self),
            termAge: termBegan.map { now - $0 },
            sweepAge: termBegan == nil ? nil : lastSweep.map { now - $0 },
            sweepInterval: sweepInterval,
            driverProblem: driverProblem()
        )
    }

    /// The problems of the driver, in sentences; nil when none is known, and between terms. Does not wait for the lock
    /// of the state.
    package func driverProblem() -> String? {
        guard progress.termBegan != nil else { return nil }
        let isSupported = prober.strategy != ProbeStrategy.none
        return context.state.driverProblems.description(
            missingCapabilities: isSupported ? nil : ProbeStrategy.missingCapabilities
        )
    }

    /// Whether nothing that is known keeps this replica from leading: its driver is connected, and no dependency fails.
    package var isReadyToLead: Bool { dependencyWatcher.isReadyToLead }
}

/// Another driver responds on the socket than the one whose lease is held.
package struct DriverChangedError: Error, CustomStringConvertible {
    /// The driver whose lease is held.
    package var expected: String
    /// The driver that responded.
    package var found: String

    package var description: String {
        "the driver on the socket calls itself \(found) now, it was \(expected): start again to monitor \(found)"
    }
}

/// Whether the monitor runs, and since when it is in a term.
private final class Progress: Sendable {
    private let state = Mutex<(hasBegun: Bool, termBegan: Duration?)>((false, nil))
    /// The first term has begun.
    let firstTerm = WakeUp()

    var hasBegun: Bool { state.withLock { $0.hasBegun } }

    /// nil between terms.
    var termBegan: Duration? { state.withLock { $0.termBegan } }

    func begin() { state.withLock { $0.hasBegun = true } }

    func beginTerm(at now: Duration) {
        state.withLock { $0.termBegan = now }
        firstTerm.signal()
    }

    func endTerm() { state.withLock { $0.termBegan = nil } }
}
