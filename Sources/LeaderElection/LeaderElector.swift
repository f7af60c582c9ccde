// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import KubernetesAPI
package import KubernetesClient
package import Logging
import Synchronization

/// Contends for a Lease and runs work while it is held: client-go's `LeaderElector`.
///
/// RBAC: `get`, `create` and `update` on `leases`, in the Lease's namespace.
package final class LeaderElector: Sendable {
    package struct Configuration: Sendable {
        /// The Lease's namespace.
        package var namespace: String
        /// The Lease's name, see ``LeaseName``.
        package var name: String
        /// This candidate's identity, unique among the candidates.
        package var identity: String
        /// Labels to set on the Lease. Others are kept.
        package var labels: [String: String]
        package var timing: LeaderElectionTiming

        package init(
            namespace: String,
            name: String,
            identity: String,
            labels: [String: String] = [:],
            timing: LeaderElectionTiming
        ) {
            self.namespace = namespace
            self.name = name
            self.identity = identity
            self.labels = labels
            self.timing = timing
        }
    }

    let client: KubernetesClient
    let configuration: Configuration
    let clock: any Clock<Duration>
    /// Monotonic time, as the state machine takes it.
    let now: @Sendable () -> Duration
    let health: LeaderElectionHealth
    let logger: Logger
    private let onChange: @Sendable (LeadershipChange) async -> Void
    /// nil while this process is a candidate. Never held together with a lock of ``LeaderElectionTerm``.
    private let currentTerm = Mutex<LeaderElectionTerm?>(nil)

    /// Creates a candidate. It sends no request before ``run(isFit:_:)``.
    ///
    /// - Parameters:
    ///   - health: is kept up to date with the renewals.
    ///   - onChange: is called when leadership begins and ends, concurrently with the work. It delays nothing, and is
    ///     cancelled when ``run(isFit:_:)`` ends. After the work has ended, it and the release before it share
    ///     ``releaseTimeout``.
    package init(
        client: KubernetesClient,
        configuration: Configuration,
        clock: any Clock<Duration> = ContinuousClock(),
        health: LeaderElectionHealth,
        logger: Logger,
        onChange: @escaping @Sendable (LeadershipChange) async -> Void = { _ in }
    ) {
        self.client = client
        self.configuration = configuration
        self.clock = clock
        now = clock.elapsedTime()
        self.health = health
        self.logger = logger
        self.onChange = onChange
    }

    /// Whether this process leads now: it holds the Lease, and has renewed it so recently that no other candidate can
    /// have acquired it.
    ///
    /// Check it before everything that only the leader may do: a process that was suspended (a frozen container, a
    /// paused machine) resumes where it was, before any task has noticed that its term is over.
    package var isLeading: Bool {
        currentTerm.withLock { $0 }?.deadline.map { now() < $0 } ?? false
    }

    /// Contends for the Lease again and again, and runs `work` whenever it is held.
    ///
    /// A failed renewal is retried: at once, then every second, for retry period + renew deadline after the last
    /// renewal was sent, but at most until midway between the renew deadline and the lease duration (with 15 s/10 s/5
    /// s: 12.5 s). Then `work` is cancelled and awaited. It must end within half of lease duration - renew deadline:
    /// after that, another candidate may hold the Lease. Then this process is a candidate again.
    ///
    /// When `work` throws ``StepDown``, the Lease is released at once, and this process is a candidate again.
    ///
    /// - Parameter isFit: whether this candidate can do the work. An unfit candidate acquires the Lease only after it
    ///   has had no holder for a lease duration; for two after two step-downs in a row, for four after more.
    /// - Returns: when `work` returns, after the Lease is released.
    /// - Throws: any other error of `work`, after the Lease is released. On cancellation, `work` is cancelled and
    ///   awaited, the Lease is released (within ``releaseTimeout``), and `CancellationError` is thrown.
    package func run(
        isFit: @escaping @Sendable () -> Bool = { true },
        _ work: @escaping @Sendable () async throws -> Void
    ) async throws {
        try await withThrowingDiscardingTaskGroup { notifications in
            var acquireDelay = AcquireDelay(leaseDuration: configuration.timing.storedLeaseDuration)
            while true {
                let term = LeaderElectionTerm(identity: configuration.identity, timing: configuration.timing)
                let lease: StoredLease
                do {
                    lease = try await acquire(term, &acquireDelay, isFit)
                } catch {
                    if term.mayHoldLease.load(ordering: .relaxed) { await release() }
                    throw error
                }
                logger.notice("Became leader", metadata: metadata)
                notifications.addTask { await self.onChange(.began) }
                currentTerm.withLock { $0 = term }
                let end = await lead(term, lease, work)
                currentTerm.withLock { $0 = nil }
                health.stoppedLeading()
                switch end {
                case .workEnded(.failure(let error as StepDown)):
                    logger.warning(
                        "Stepped down, leaving the lease to another replica",
                        metadata: metadata.merging(["reason": "\(error.reason)"]) { $1 }
                    )
                    acquireDelay.steppedDown()
                    await release()
                    notifications.addTask { await self.onChange(.ended(.steppedDown(error))) }
                case .workEnded(let result):
                    await release(reporting: .ended(.released))
                    notifications.cancelAll()
                    return try result.get()
                case .lost:
                    acquireDelay.reset()
                    logger.error("Lost leadership", metadata: metadata)
                    notifications.addTask { await self.onChange(.ended(.lost)) }
                }
                try Task.checkCancellation()
            }
        }
    }

    /// The limit of a release. After it, the process goes on without, and the Lease expires on its own.
    package static let releaseTimeout = Duration.seconds(3)

    /// Releases the Lease, so that the next leader need not wait until it expires. Best effort, within
    /// ``releaseTimeout``.
    private func release(reporting change: LeadershipChange? = nil) async {
        // An unstructured task, because the caller may have been cancelled, and the Lease must be released all the
        // same. It is awaited here, and the timeout bounds it.
        await Task {
            await withTaskGroup(of: Void.self) { group in
                group.addTask {
                    await self.releaseLease()
                    if let change { await self.onChange(change) }
                }
                group.addTask { try? await self.clock.sleep(for: Self.releaseTimeout) }
                await group.next()
                group.cancelAll()
            }
        }.value
    }
}

extension LeaderElector {
    var metadata: Logger.Metadata {
        [
            "lease": ["namespace": "\(configuration.namespace)", "name": "\(configuration.name)"],
            "identity": "\(configuration.identity)",
        ]
    }

    func metadata(_ error: any Error) -> Logger.Metadata {
        metadata.merging(["err": "\(error)"]) { $1 }
    }
}

/// How long the Lease must have had no holder before an unfit candidate acquires it: one lease duration, doubled with
/// each step-down in a row after the first, up to four.
struct AcquireDelay {
    private let initial: Duration
    private var backoff: Backoff
    private(set) var duration: Duration

    init(leaseDuration: Duration) {
        initial = leaseDuration
        backoff = Backoff(initial: leaseDuration, maximum: leaseDuration * 4)
        duration = leaseDuration
    }

    mutating func steppedDown() {
        duration = backoff.next()
    }

    mutating func reset() {
        backoff.reset()
        duration = initial
    }
}

/// Finds the failures to log: the first, and those whose cause differs from the one before.
struct FailureLog {
    private var last: String?

    mutating func isNew(_ error: any Error) -> Bool {
        let cause = (error as? KubernetesError)?.kind ?? "\(error)"
        defer { last = cause }
        return cause != last
    }

    mutating func reset() { last = nil }
}
