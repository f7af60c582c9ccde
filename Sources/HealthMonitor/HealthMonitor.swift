// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

public import CSIClient
public import KubernetesClient
public import Logging
import Synchronization
import VolumeHealth

/// The controller: watches PersistentVolumes and PersistentVolumeClaims, asks the driver how its volumes are, and
/// tells the claims.
///
/// All decisions are made by the pure ``VolumeHealth/Reconciler``; what is here moves facts into it and carries out
/// what it says. Must run in one process at a time for one driver: run it under a lease.
///
/// RBAC: `list` and `watch` on `persistentvolumes` and `persistentvolumeclaims`; `get`, `create` and `patch` on
/// `events`.
public struct HealthMonitor<C: Clock>: Sendable where C.Duration == Duration {
    /// What to watch over, and how often to look.
    public struct Configuration: Sendable {
        /// The driver whose volumes these are, as it told it when the lease was chosen.
        public var driverName: String
        /// From the beginning of one list of all volumes to that of the next.
        public var listVolumesInterval: Duration
        /// Who reports: `reportingInstance` of events.
        public var identity: String

        /// Describes a controller.
        public init(driverName: String, listVolumesInterval: Duration, identity: String) {
            self.driverName = driverName
            self.listVolumesInterval = listVolumesInterval
            self.identity = identity
        }
    }

    let configuration: Configuration
    let driver: CSIClient
    let kubernetes: KubernetesClient
    let clock: C
    let logger: Logger
    private let origin: C.Instant

    /// A controller; nothing is asked before ``run()``.
    public init(
        configuration: Configuration,
        driver: CSIClient,
        kubernetes: KubernetesClient,
        clock: C,
        logger: Logger
    ) {
        self.configuration = configuration
        self.driver = driver
        self.kubernetes = kubernetes
        self.clock = clock
        self.logger = logger
        self.origin = clock.now
    }

    /// Monitors until it is cancelled. Nothing that the driver or the API server does ends it, with one exception.
    ///
    /// - Throws: `CancellationError` on cancellation, within the time of a local call; ``DriverChangedError`` when
    ///   another driver answers on the socket.
    public func run() async throws {
        let state = MonitorState()
        try await withThrowingTaskGroup { group in
            group.addTask { try await watchVolumes(into: state) }
            group.addTask { try await watchClaims(into: state) }
            group.addTask { try await sweep(into: state) }
            group.addTask { try await report(from: state) }
            // None of them returns: the first to throw ends all.
            try await group.next()
            group.cancelAll()
        }
    }

    /// Time on this monitor's clock, as the pure core takes it.
    var now: Duration { origin.duration(to: clock.now) }

    /// The moment on the clock that the pure core names so.
    func instant(at time: Duration) -> C.Instant { origin.advanced(by: time) }
}

/// Another driver answers on the socket than the one whose lease we hold.
public struct DriverChangedError: Error, CustomStringConvertible {
    /// The driver whose lease we hold.
    public var expected: String
    /// The driver that answered.
    public var found: String

    /// What happened and what to do.
    public var description: String {
        "the driver on the socket calls itself \(found) now, it was \(expected): start again to monitor \(found)"
    }
}

/// What the monitor's tasks share: the core, and the signals between them.
final class MonitorState: Sendable {
    private let reconciler = Mutex(Reconciler())
    private let unsynced = Mutex<Set<Watched>>([.volumes, .claims])
    /// Both watches have delivered their first list.
    let synced = WakeUp()
    /// There may be something to tell.
    let reportable = WakeUp()

    enum Watched: Sendable {
        case volumes
        case claims
    }

    func withReconciler<R: Sendable>(_ body: (inout sending Reconciler) -> sending R) -> R {
        reconciler.withLock(body)
    }

    func didSync(_ watched: Watched) {
        let last = unsynced.withLock { $0.remove(watched) != nil && $0.isEmpty }
        if last { synced.signal() }
    }
}
