// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

package import CSIClient
package import KubernetesClient
package import Logging
import Synchronization
package import VolumeHealth

/// The controller: watches PersistentVolumes and PersistentVolumeClaims, asks the driver how its volumes are, and
/// reports the claims by events and status fields.
///
/// All decisions are made by the pure ``VolumeHealth/HealthState``; what is here moves facts into it and carries out
/// what it says. Must run in one process at a time for one driver: run it under a lease.
///
/// RBAC: `list` and `watch` on `persistentvolumes` and `persistentvolumeclaims`; `get` on `persistentvolumeclaims` and
/// `patch` on `persistentvolumeclaims/status`; `list`, `get`, `create` and `patch` on `events`. With
/// volume secrets, `get` on those `secrets`; with the node watcher, `list` and `watch` on `nodes` and `pods`.
package struct HealthMonitor<C: Clock>: Sendable where C.Duration == Duration {
    let configuration: MonitorConfiguration
    let driver: CSIClient
    let kubernetes: KubernetesClient
    let clock: C
    let logger: Logger
    let observer: @Sendable (MonitorObservation) -> Void
    let isLeading: @Sendable () -> Bool
    let volumeSecrets: VolumeSecrets<C>
    private let origin: C.Instant
    let current = CurrentState()
    let eventBursts = EventBursts()

    /// A controller; nothing is asked before ``run()``.
    ///
    /// - Parameters:
    ///   - isLeading: asked before every question to the driver and every write; once it says no, ``run()`` does neither any
    ///     more and waits for its cancellation.
    ///   - observer: called for what metrics count, from the tasks of ``run()``.
    package init(
        configuration: MonitorConfiguration,
        driver: CSIClient,
        kubernetes: KubernetesClient,
        clock: C,
        logger: Logger,
        isLeading: @escaping @Sendable () -> Bool = { true },
        observer: @escaping @Sendable (MonitorObservation) -> Void = { _ in }
    ) {
        self.configuration = configuration
        self.driver = driver
        self.kubernetes = kubernetes
        self.clock = clock
        self.logger = logger
        self.isLeading = isLeading
        self.observer = observer
        self.volumeSecrets = VolumeSecrets(client: kubernetes, clock: clock)
        self.origin = clock.now
    }

    /// Monitors until it is cancelled. Nothing that the driver or the API server does ends it, with one exception.
    ///
    /// - Throws: `CancellationError` on cancellation, within the time of a local call; ``DriverChangedError`` when
    ///   another driver answers on the socket; ``BlindnessError`` with ``MonitorConfiguration/blindnessTimeout``.
    package func run() async throws {
        try await run { lead in try await lead() }
    }

    /// Monitors while the lease is held, as ``run()``, in one term after the other.
    ///
    /// The watches of PersistentVolumes and PersistentVolumeClaims go on when a term ends, so that the next one begins
    /// without a list. Between terms nothing else is sent, neither to the driver nor to the API server.
    ///
    /// - Parameters:
    ///   - warmStandby: whether the watches begin at once; otherwise with the first term.
    ///   - elect: runs its argument while the lease is held, and cancels and awaits it when the lease is lost; one call
    ///     at a time, any number of times. Its argument throws ``BlindnessError`` to give the lease back. When `elect`
    ///     returns or throws, this does too.
    package func run(
        warmStandby: Bool = false,
        elect: @escaping @Sendable (_ lead: @escaping @Sendable () async throws -> Void) async throws -> Void
    ) async throws {
        let state = MonitorState(
            HealthState(configuration: .init(configuration)),
            workerThreads: configuration.workerThreads
        )
        state.endTerm()
        current.set(state)
        try await runAll([
            {
                if !warmStandby { await state.terms.wait() }
                try Task.checkCancellation()
                try await watch(into: state)
            },
            { try await elect { try await lead(state) } },
            { try await recheckDriver(of: state) },
        ])
    }

    /// One term.
    private func lead(_ state: MonitorState) async throws {
        state.beginTerm(at: now)
        current.beginTerm()
        defer {
            current.endTerm()
            state.endTerm()
        }
        try await runAll([
            { try await monitor(state) },
            { try await watchDriver(state) },
            { try await watchSight(of: state) },
        ])
    }

    private func monitor(_ state: MonitorState) async throws {
        try await state.untilSynced()
        // Rule 9: what earlier leaders have reported is known before anything is reported.
        let isRestored = try await restore(into: state)
        try await runAll([
            { isRestored ? try await untilCancelled() : try await restoreLater(into: state) },
            { try await probe(into: state) },
            { try await probeVolumes(into: state) },
            { try await reportAbsence(from: state) },
            { try await reportEvents(from: state) },
            { try await reportUnknownConditions(from: state) },
            { try await reportResponses(from: state) },
            { try await writeStatuses(from: state) },
            { try await maintainStatuses(of: state) },
            { try await watchNodes(claimsOf: state) },
            { try await logEventBursts() },
        ])
    }

    /// What is known now; nil between terms.
    package func snapshot() -> HealthSnapshot? {
        current.isLeading
            ? current.get().map { $0.snapshot(listInterval: configuration.listVolumesInterval, at: now) } : nil
    }

    /// What is wrong with the driver, in sentences; nil when nothing is known to be, and between terms.
    package func driverProblem() -> String? {
        current.isLeading ? current.get()?.driverProblem : nil
    }

    /// Time on this monitor's clock, as the pure core takes it.
    var now: Duration { origin.duration(to: clock.now) }

    /// Returns at once while this process may act; otherwise waits for the cancellation that must be on its way.
    ///
    /// - Throws: `CancellationError`.
    func haltUnlessLeading() async throws {
        if isLeading() { return }
        if current.isFirstToStop() { logger.warning("Stopped calls and writes, the lease has expired") }
        try await untilCancelled()
    }

    /// Waits for the cancellation.
    ///
    /// - Throws: `CancellationError`.
    func untilCancelled() async throws {
        let (never, continuation) = AsyncStream.makeStream(of: Never.self)
        for await _ in never {}
        continuation.finish()
        throw CancellationError()
    }

    /// The moment on the clock that the pure core names so.
    func instant(at time: Duration) -> C.Instant { origin.advanced(by: time) }

    /// Runs tasks none of which returns: the first to throw ends all.
    func runAll(_ tasks: [@Sendable () async throws -> Void]) async throws {
        try await withThrowingTaskGroup { group in
            for task in tasks {
                group.addTask { try await task() }
            }
            try await group.next()
            group.cancelAll()
        }
    }
}

/// What to watch over, how often to look, and what to report.
package struct MonitorConfiguration: Sendable {
    /// The driver whose volumes these are, as it reported it when the lease was chosen.
    package var driverName: String
    /// Who reports: `reportingInstance` of events.
    package var identity: String
    /// Where volumes are listed: from the beginning of one list to that of the next.
    package var listVolumesInterval = Duration.seconds(300)
    /// Where volumes are asked for one by one: each is asked for once in this time.
    package var monitorInterval = Duration.seconds(60)
    /// How many calls for single volumes are under way at most.
    package var workerThreads = 10
    /// How many calls for single volumes begin per second at most; nil: no bound of its own.
    package var probesPerSecond: Double?
    /// After what time the absence of many volumes at once is believed.
    package var missingVolumesHold = Duration.seconds(600)
    /// Whether a volume that the driver does not find any more is reported as one.
    package var reportsMissingVolumes = true
    /// How long calls for a volume must fail before its claim is reported, where volumes are probed one by one; nil: it is not.
    package var unansweredLimit: Duration? = .seconds(15 * 60)
    /// Whether conditions of legacy drivers go to the claims' `status.healthStatus` too.
    package var writesLegacyStatus = true
    /// When a claim's health is shown as a condition in its status.
    package var claimConditions = ClaimConditionPolicy.auto
    /// How long a node is not ready before it counts as failed; nil: nodes are not watched.
    package var nodeFailureDuration: Duration?
    /// The node whose volumes alone are monitored, for a driver that knows no others; nil: all of the driver's volumes are.
    package var nodeName: String?
    /// The node on which this process runs, where that is known, by which a driver that knows only its node's
    /// volumes is recognized.
    package var hostNodeName: String?
    /// After what time a term ends in which the driver cannot be reached, in which all calls for volumes' health fail, or in
    /// which the API server refuses the watches: another replica may see more. nil: it goes on.
    package var blindnessTimeout: Duration?
    /// From one Identity/Probe call to the next, so that a driver that hangs is noticed between lists; nil: there are none.
    package var driverCheckInterval: Duration?
    /// Which Secrets of the volumes go with the health RPCs.
    package var volumeSecrets = VolumeSecretsKind.none

    /// The defaults are those of the command's flags.
    package init(driverName: String, identity: String) {
        self.driverName = driverName
        self.identity = identity
    }
}

extension HealthState.Configuration {
    init(_ configuration: MonitorConfiguration) {
        self.init(
            reportsMissingVolumes: configuration.reportsMissingVolumes,
            absenceLimits: AbsenceLimits(hold: configuration.missingVolumesHold),
            claimConditions: configuration.claimConditions,
            unansweredLimit: configuration.unansweredLimit
        )
    }
}

/// Another driver answers on the socket than the one whose lease we hold.
package struct DriverChangedError: Error, CustomStringConvertible {
    /// The driver whose lease we hold.
    package var expected: String
    /// The driver that answered.
    package var found: String

    /// What happened and what to do.
    package var description: String {
        "the driver on the socket calls itself \(found) now, it was \(expected): start again to monitor \(found)"
    }
}

/// The state of the monitor that runs, and whether it is in a term.
final class CurrentState: Sendable {
    private let state = Mutex<MonitorState?>(nil)
    private let isInTerm = Atomic(false)
    private let hasStopped = Atomic(false)

    func set(_ new: MonitorState) { state.withLock { $0 = new } }

    func beginTerm() {
        hasStopped.store(false, ordering: .relaxed)
        isInTerm.store(true, ordering: .releasing)
    }

    func endTerm() { isInTerm.store(false, ordering: .releasing) }

    var isLeading: Bool { isInTerm.load(ordering: .acquiring) }

    /// Whether this is the first call in this term: many tasks find out at the same time.
    func isFirstToStop() -> Bool { !hasStopped.exchange(true, ordering: .relaxed) }

    func get() -> MonitorState? { state.withLock { $0 } }
}
