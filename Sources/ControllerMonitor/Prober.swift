// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import CSIClient
import ControllerCore
import HealthCore
import HealthRuntime
import Logging
import Synchronization

/// Probes the driver for the health of its volumes, and applies the responses to the ``ControllerCore/HealthState``: by
/// lists (here), volume by volume (`Prober+Get.swift`), or both (``ProbeStrategy``).
final class Prober: Sendable {
    /// The state of one term.
    struct Term {
        let calls: CallLimiter
        var secrets: VolumeSecrets
        /// nil until the driver is identified.
        var strategy: ProbeStrategy?
        var listProblem: ListProblem?
        var listsSomeWithoutCondition = false
        /// The causes of failed lists that were logged since the last complete list.
        var loggedListFailures: Set<String> = []
        /// When all volumes were last probed.
        var lastSweep: Duration?
        /// Where volumes are probed one by one: the last interval that has ended.
        var lastRound: ProbeRound?
        /// Where volumes are probed one by one: the time from one probe of a volume to its next that is achieved.
        var probeInterval: Duration?
        /// Where volumes are probed one by one: how many there are.
        var probedVolumes = 0
        /// The counts after the last sweep, to log changes.
        var lastCounts = UnhealthyCounts()

        init(_ context: MonitorContext) {
            let configuration = context.configuration
            secrets = VolumeSecrets(client: context.kubernetes, time: context.time)
            calls = CallLimiter(
                maximum: configuration.workerThreads,
                longestGap: max(
                    configuration.monitorInterval * ProbeSchedule<String>.maximumSkip,
                    configuration.listVolumesInterval
                )
            )
        }
    }

    let context: MonitorContext
    private let term: Mutex<Term>
    /// Signals that a call could not reach the driver.
    private let interrupted = WakeUp()

    /// How often the driver is identified when nothing else requires it.
    private static let identificationInterval = Duration.seconds(300)
    /// After this number of intervals a list that could not be used is tried again, while the volumes are probed one by
    /// one.
    private static let intervalsOfUnusableLists = 10

    init(_ context: MonitorContext) {
        self.context = context
        term = Mutex(Term(context))
    }

    /// Forgets the last term: another replica may have probed meanwhile.
    func beginTerm() {
        term.withLock { $0 = Term(context) }
    }

    /// Forgets the Secrets: a standby makes no calls that need them.
    func endTerm() {
        let secrets = VolumeSecrets(client: context.kubernetes, time: context.time)
        term.withLock { $0.secrets = secrets }
    }

    /// Identifies the driver and lists its volumes where it can, until cancelled. Runs beside ``probeVolumes()``.
    ///
    /// The driver is identified before every list and after an interval: it may be restarted or upgraded at any time.
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
            if setStrategy(strategy) {
                begin(strategy, identity)
                nextList = now
            }
            let resumed = now
            if calls.resume(at: resumed) > configuration.monitorInterval {
                context.state.withLock { $0.resumeProbes(at: resumed) }
            }
            logEndedFailures()
            context.state.probeable.signal()
            switch strategy {
            case .list(let generation, let canConfirm):
                if now >= nextList {
                    schedule.begin(at: now)
                    let isComplete = try await sweep(generation, canConfirm: canConfirm)
                    let isUnusable = canConfirm && context.state.withLock { $0.listProblem != nil }
                    nextList = schedule.end(
                        complete: isComplete,
                        intervals: isUnusable ? Self.intervalsOfUnusableLists : 1,
                        at: now
                    )
                }
                // A driver that was unavailable is identified at once, not only before the next list, because probes of
                // single volumes wait for that.
                try await waitForInterruption(until: nextList)
            case .get:
                try await waitForInterruption(until: now + Self.identificationInterval)
            case .none:
                // After its connection broke, the driver may be another version.
                await context.driver.waitUntilDisconnected(atMost: Self.identificationInterval, context.time)
                // The driver may close every connection at once: avoids a tight loop.
                try await context.time.sleep(for: .seconds(5))
            }
        }
    }

    /// Stops calls for single volumes until the driver is identified again, which follows at once.
    func interrupt() {
        calls.pause(at: now)
        interrupted.signal()
    }

    private func identify() async throws -> DriverIdentity {
        let driver = context.driver
        let identity = try await driver.waitForIdentity(clock: context.time.clock) { [context] error, took in
            context.dependencies.failed(.driver, reason: driver.explanation(of: error), since: context.now - took)
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
                rechecks: configuration.rechecks(
                    every: scope == .everyVolume ? configuration.monitorInterval : configuration.listVolumesInterval
                ),
                at: began,
                using: &random
            )
        }
    }

    /// Returns when a call could not reach the driver, or at this moment.
    private func waitForInterruption(until end: Duration) async throws {
        await context.time.wait(for: interrupted, until: end)
        try Task.checkCancellation()
    }
}

// MARK: Lists

extension Prober {
    /// Lists all volumes. ``probeVolumes()`` probes those whose absence a call is to confirm, so that a driver that
    /// does not respond to such calls delays no list.
    ///
    /// - Returns: whether the list was complete.
    /// - Throws: only `CancellationError`.
    func sweep(_ generation: ProbeStrategy.Generation, canConfirm: Bool) async throws -> Bool {
        var summary = SweepSummary()
        let began = now
        context.state.withLock { $0.beginSweep(at: began) }
        try await context.gate.haltUnlessLeading()
        let failure = await list(generation, &summary)
        try Task.checkCancellation()
        if let failure = failure as? CSIError {
            context.dependencies.failed(.calls, reason: "\(failure)", since: began)
        } else if failure == nil {
            context.dependencies.succeeded(.calls)
        }
        let ended = now
        let end: HealthState.SweepEnd =
            if failure != nil {
                .incomplete
            } else {
                .complete(generation == .legacy ? .everyVolume : .unhealthyVolumes, canConfirm: canConfirm)
            }
        let (absent, problem, isContradicted) = context.state.update { state in
            let wasContradicted = state.callsContradictLists
            let absent = state.endSweep(end, at: ended)
            return (absent, state.listProblem, state.callsContradictLists && !wasContradicted)
        }
        if isContradicted {
            context.logger.warning(
                "Calls for single volumes contradict the driver's list, these volumes are no longer probed between lists"
            )
        }
        log(summary, absent: absent.count, failure: failure, duration: ended - began)
        guard failure == nil else { return false }
        if setListProblem(problem) { log(problem, canConfirm: canConfirm) }
        if problem == nil {
            sweepEnded(at: ended)
            context.observer(.sweepCompleted(duration: ended - began))
        }
        return true
    }

    /// Returns the error that ended the list; nil when the list is complete.
    private func list(_ generation: ProbeStrategy.Generation, _ summary: inout SweepSummary) async -> (any Error)? {
        do {
            switch generation {
            case .legacy:
                for try await page in context.driver.listVolumes() {
                    receive(page, &summary)
                    try await context.gate.haltUnlessLeading()
                }
            case .health:
                let secrets = try await secretsOfAllVolumes()
                for try await page in context.driver.listVolumeHealth(secrets: secrets) {
                    receive(page, &summary)
                    try await context.gate.haltUnlessLeading()
                }
            }
            return nil
        } catch {
            return error
        }
    }

    private func receive(_ page: [DriverVolume], _ summary: inout SweepSummary) {
        let received = now
        context.dependencies.succeeded(.driver)
        summary.volumes += page.count
        let (abnormal, withoutHealth) = context.state.update { state in
            var abnormal = 0
            var withoutHealth = 0
            for volume in page {
                if let report = VolumeHealthReport(volume) {
                    if !report.isHealthy { abnormal += 1 }
                    state.receive(report, at: received)
                } else {
                    withoutHealth += 1
                    state.receive(listedWithoutHealth: volume.id, at: received)
                }
            }
            return (abnormal, withoutHealth)
        }
        summary.abnormal += abnormal
        summary.withoutHealth += withoutHealth
    }

    private func receive(_ page: [DriverVolumeHealth], _ summary: inout SweepSummary) {
        let received = now
        context.dependencies.succeeded(.driver)
        let reports = page.map { VolumeHealthReport($0, observer: context.observer) }
        summary.volumes += page.count
        summary.abnormal += reports.count { !$0.isHealthy }
        context.state.update { state in
            for report in reports { state.receive(report, at: received) }
        }
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

    /// Stores the strategy. Returns whether it has changed.
    private func setStrategy(_ new: ProbeStrategy) -> Bool {
        term.withLock { term in
            defer { term.strategy = new }
            return term.strategy != new
        }
    }

    /// All volumes have been probed. Logs a line when the number of volumes with some (status, reason) has changed.
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
    /// The contents of the volume's Secret, for a call.
    ///
    /// - Throws: `KubernetesError` when the Secret cannot be read; the call is not made then.
    func secrets(ofVolumeHandle handle: String) async throws -> [String: String] {
        guard context.configuration.volumeSecrets != .none,
            let name = context.state.withLock({ $0.secret(ofVolumeHandle: handle) })
        else { return [:] }
        return try await withTerm { $0.secrets }.secrets(for: name)
    }

    /// The contents of the Secret that all volumes refer to, for a list; empty when they refer to several.
    ///
    /// - Throws: `KubernetesError` when the Secret cannot be read; the list is not requested then.
    func secretsOfAllVolumes() async throws -> [String: String] {
        guard context.configuration.volumeSecrets != .none,
            let name = context.state.withLock({ $0.commonSecret })
        else { return [:] }
        return try await withTerm { $0.secrets }.secrets(for: name)
    }
}
