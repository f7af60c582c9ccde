// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import CSIClient
import ControllerCore
import HealthCore
import HealthRuntime
import Logging
import Synchronization

/// Probes the driver for the health of its volumes, and feeds the replies to the core: by lists (`Prober+List.swift`), volume
/// by volume (`Prober+Get.swift`), or both, as the driver's capabilities allow.
final class Prober: Sendable {
    /// What is known in one term.
    struct Term {
        let calls: CallLimiter
        /// nil until the driver is identified.
        var strategy: ProbeStrategy?
        var listProblem: ListProblem?
        var listsSomeWithoutCondition = false
        /// When all volumes were last probed.
        var lastSweep: Duration?
        /// Where volumes are probed one by one: the last interval that has ended.
        var lastRound: ProbeRound?
        /// After the last sweep.
        var lastCounts = UnhealthyCounts()
    }

    let context: MonitorContext
    private let secrets: VolumeSecrets
    private let term: Mutex<Term>
    /// A call found that the driver cannot be reached.
    private let interrupted = WakeUp()

    /// How soon a driver is identified again where nothing else gives a reason to.
    private static let identificationInterval = Duration.seconds(300)
    /// After so many intervals a list that was of no use is tried again, while its volumes are probed one by one.
    private static let intervalsOfUselessLists = 10

    init(_ context: MonitorContext) {
        self.context = context
        secrets = VolumeSecrets(client: context.kubernetes, time: context.time)
        term = Mutex(Term(calls: CallLimiter(maximum: context.configuration.workerThreads)))
    }

    /// Forgets everything: another replica may have probed meanwhile.
    func beginTerm() {
        term.withLock { $0 = Term(calls: CallLimiter(maximum: context.configuration.workerThreads)) }
    }

    /// Identifies the driver and lists its volumes where it can, until cancelled. Runs beside ``probeVolumes()``.
    ///
    /// The driver is identified again and again: it may be restarted or upgraded at any time.
    ///
    /// - Throws: ``DriverChangedError``; `CancellationError`.
    func run() async throws {
        let configuration = context.configuration
        var schedule = SweepSchedule(interval: configuration.listVolumesInterval)
        var nextList = now
        while true {
            try await context.gate.haltUnlessLeading()
            let identity = try await identify()
            guard identity.name == configuration.driverName else {
                throw DriverChangedError(expected: configuration.driverName, found: identity.name)
            }
            let strategy = ProbeStrategy(identity.controllerCapabilities)
            if adopt(strategy) {
                begin(strategy, identity)
                nextList = now
            }
            calls.resume()
            context.state.probeable.signal()
            switch strategy {
            case .list(let generation, let canConfirm):
                if now >= nextList {
                    schedule.begin(at: now)
                    let isComplete = try await sweep(generation, canConfirm: canConfirm)
                    let isUseless = canConfirm && context.state.withLock { $0.listProblem != nil }
                    nextList = schedule.end(
                        complete: isComplete,
                        intervals: isUseless ? Self.intervalsOfUselessLists : 1,
                        at: now
                    )
                }
                // A driver that was away is identified before single volumes are probed again, which does not wait for
                // the next list.
                try await waitForInterruption(until: nextList)
            case .get:
                try await waitForInterruption(until: now + Self.identificationInterval)
            case .none:
                // The driver may be another version after its connection broke.
                await context.driver.waitUntilDisconnected(atMost: Self.identificationInterval, context.time)
                // A server may close connections at any time: no tight loop.
                try await context.time.sleep(for: .seconds(5))
            }
        }
    }

    /// Stops calls for single volumes until the driver is identified again, which follows at once.
    func interrupt() {
        calls.pause()
        interrupted.signal()
    }

    private func identify() async throws -> DriverIdentity {
        let driver = context.driver
        let identity = try await driver.identify(clock: context.time.clock) { [context] error, took in
            context.dependencies.failed(.driver, reason: driver.problem(error), since: context.now - took)
        }
        context.dependencies.succeeded(.driver)
        return identity
    }

    private func begin(_ strategy: ProbeStrategy, _ identity: DriverIdentity) {
        let configuration = context.configuration
        let metadata: Logger.Metadata = [
            "version": "\(identity.vendorVersion)", "method": "\(strategy.method)",
        ]
        switch strategy {
        case .none:
            context.logger.error(
                "The driver does not report volume health, nothing is monitored",
                metadata: metadata.merging(["reason": "\(ProbeStrategy.missingCapabilities)"]) { $1 }
            )
        case .list(.health, canConfirm: false):
            context.logger.warning(
                """
                The driver has LIST_VOLUME_HEALTH without GET_VOLUME_HEALTH, against the CSI specification: a volume \
                counts as recovered when two complete lists in a row leave it out
                """,
                metadata: metadata
            )
        case .list, .get:
            context.logger.notice("Monitoring the driver's volumes", metadata: metadata)
        }
        let began = now
        context.state.update { state in
            state.beginStrategy(writesStatus: strategy.generation == .health || configuration.writesLegacyStatus)
            let scope: HealthState.ProbeScope? =
                switch strategy {
                case .get: .everyVolume
                case .list(_, canConfirm: true): .whatListsLeaveOpen
                case .list(_, canConfirm: false), .none: nil
                }
            guard let scope else { return }
            var random = SystemRandomNumberGenerator()
            state.beginProbing(
                scope,
                interval: configuration.monitorInterval,
                minimumGap: configuration.probesPerSecond.map { .seconds(1) / $0 } ?? .zero,
                at: began,
                using: &random
            )
        }
    }

    /// Returns when a call found that the driver cannot be reached, or at this moment.
    private func waitForInterruption(until end: Duration) async throws {
        await context.time.wait(for: interrupted, until: end)
        try Task.checkCancellation()
    }
}

// MARK: State of the term

extension Prober {
    var now: Duration { context.now }

    func withTerm<R: Sendable>(_ body: (inout sending Term) -> sending R) -> R { term.withLock(body) }

    var calls: CallLimiter { term.withLock { $0.calls } }

    var strategy: ProbeStrategy? { term.withLock { $0.strategy } }

    /// Whether volumes are probed one by one because the driver has no list.
    var isWithoutList: Bool {
        if case .get = strategy { true } else { false }
    }

    /// Returns whether it is another strategy than before.
    private func adopt(_ new: ProbeStrategy) -> Bool {
        term.withLock { term in
            defer { term.strategy = new }
            return term.strategy != new
        }
    }

    /// All volumes have been probed: one log line when another number of volumes than before has a status and reason.
    func sweepEnded(at now: Duration) {
        let counts = context.state.withLock { $0.unhealthyCounts }
        let isChanged = term.withLock { term in
            defer { (term.lastSweep, term.lastCounts) = (now, counts) }
            return term.lastCounts != counts
        }
        if isChanged { context.logger.notice("Volume health changed", metadata: counts.metadata) }
    }
}

// MARK: Secrets

extension Prober {
    /// The Secret of the volume, for a call on it.
    ///
    /// - Throws: `KubernetesError` when the Secret cannot be read; the call is not made then.
    func secrets(ofVolumeHandle handle: String) async throws -> [String: String] {
        guard context.configuration.volumeSecrets != .none,
            let name = context.state.withLock({ $0.secret(ofVolumeHandle: handle) })
        else { return [:] }
        return try await secrets.secrets(for: name)
    }

    /// The Secret that all volumes refer to, for a list; empty where they refer to several.
    ///
    /// - Throws: `KubernetesError` when the Secret cannot be read; the list is not requested then.
    func secretsOfAllVolumes() async throws -> [String: String] {
        guard context.configuration.volumeSecrets != .none,
            let name = context.state.withLock({ $0.commonSecret })
        else { return [:] }
        return try await secrets.secrets(for: name)
    }
}

extension UnhealthyCounts {
    /// How many claims, and which conditions they have, the most frequent first.
    var metadata: Logger.Metadata {
        let sorted = conditions.sorted { left, right in
            (-left.value, left.key.status.rawValue, left.key.reason)
                < (-right.value, right.key.status.rawValue, right.key.reason)
        }
        let texts = sorted.prefix(5).map { "\($0.key.status.rawValue) (\($0.key.reason)): \($0.value)" }
        var metadata: Logger.Metadata = ["unhealthy": .stringConvertible(claims)]
        if !texts.isEmpty { metadata["conditions"] = "\(texts.joined(separator: ", "))" }
        if sorted.count > texts.count { metadata["otherConditions"] = .stringConvertible(sorted.count - texts.count) }
        return metadata
    }
}
