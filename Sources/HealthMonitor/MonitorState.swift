// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Synchronization
import VolumeHealth

/// What the monitor's tasks share: the core, and the signals between them. The watches have it as long as the monitor runs,
/// the other tasks for a term.
final class MonitorState: Sendable {
    /// What holds for one term.
    private struct Term {
        /// Names this term among all terms of all replicas.
        let id = String(UInt64.random(in: .min ... .max), radix: 36)
        let probing: Probing
        var strategy: ProbeStrategy?
        var listProblem: ListProblem?
        var listsSomeWithoutCondition = false
    }

    private let workerThreads: Int
    private let term: Mutex<Term>
    private let healthState: Mutex<HealthState>
    private let driverProblems = Mutex(DriverProblems())
    let senses = Mutex(Sight())
    /// When the term began, and when all volumes were last asked for in it.
    private let progress = Mutex<(began: Duration?, sweep: Duration?)>((nil, nil))
    /// After the last sweep of the term.
    private let lastCounts = Mutex<UnhealthyCounts?>(nil)
    /// Where volumes are probed one by one: the last interval that has ended.
    let lastRound = Mutex<ProbeRound?>(nil)
    /// The cache of PersistentVolumes.
    let volumes = CacheState()
    /// The cache of PersistentVolumeClaims.
    let claims = CacheState()
    /// A term has begun.
    let terms = WakeUp()
    /// There may be a volume to probe.
    let probeable = WakeUp()
    /// A call found that the driver cannot be reached.
    let interrupted = WakeUp()
    /// Volumes are suspected to be missing by the driver's fault, or because it knows only its node's, or not any more.
    let suspicions = WakeUp()
    /// A sense fails, or works again.
    let sightChanged = WakeUp()
    /// There may be an event to report.
    let events = WakeUp()
    /// There may be an event on an unknown condition to report.
    let unknownEvents = WakeUp()
    /// There may be an event to record on a volume for which the driver does not respond, or does again.
    let responseEvents = WakeUp()
    /// There may be a status to write.
    let statuses = WakeUp()
    /// There may be something to do for the claims' status that nothing else causes.
    let maintenance = WakeUp()

    init(_ healthState: sending HealthState, workerThreads: Int = 10) {
        self.healthState = Mutex(healthState)
        self.workerThreads = workerThreads
        term = Mutex(Term(probing: Probing(maximum: workerThreads)))
    }

    /// Forgets everything but the caches: what another replica did meanwhile is not known. The tasks of the last term have
    /// ended.
    func beginTerm(at now: Duration) {
        senses.withLock { $0.beginTerm(at: now) }
        progress.withLock { $0 = (began: now, sweep: nil) }
        lastRound.withLock { $0 = nil }
        lastCounts.withLock { $0 = nil }
        term.withLock { $0 = Term(probing: Probing(maximum: workerThreads)) }
        update { $0.beginTerm() }
        volumes.beginTerm()
        claims.beginTerm()
        terms.signal()
    }

    /// Returns those after the last sweep of the term; none are unhealthy before the first.
    func exchange(counts: UnhealthyCounts) -> UnhealthyCounts {
        lastCounts.withLock { last in
            defer { last = counts }
            return last ?? UnhealthyCounts()
        }
    }

    func sweepEnded(at now: Duration) { progress.withLock { $0.sweep = now } }

    /// How long ago the term began, and all volumes were last asked for in it.
    func ages(at now: Duration) -> (term: Duration?, sweep: Duration?) {
        progress.withLock { progress in (progress.began.map { now - $0 }, progress.sweep.map { now - $0 }) }
    }

    /// Returns when both caches are up to date. For one task at a time.
    ///
    /// - Throws: `CancellationError`.
    func untilSynced() async throws {
        try await volumes.untilSynced()
        try await claims.untilSynced()
    }

    /// Forgets everything but the caches: a standby needs nothing else.
    func endTerm() {
        update { $0.endTerm() }
    }

    func withHealthState<R: Sendable>(_ body: (inout sending HealthState) -> sending R) -> R {
        healthState.withLock(body)
    }

    /// Hands facts to the core and wakes whoever may have something to do now.
    func update<R: Sendable>(_ body: (inout HealthState) -> R) -> R {
        let (result, before, after, isOtherwise) = healthState.withLock { healthState in
            let before = healthState.plans
            let wasSuspect = healthState.absenceSuspicion != nil
            let knewOnlyItsNode = healthState.knowsOnlyItsNode
            let neededMaintenance = healthState.needsStatusMaintenance
            let result = body(&healthState)
            if !neededMaintenance, healthState.needsStatusMaintenance { maintenance.signal() }
            let isOtherwise =
                wasSuspect != (healthState.absenceSuspicion != nil) || knewOnlyItsNode != healthState.knowsOnlyItsNode
            let problems = DriverProblems(healthState)
            // Within the core's lock, so that the last update is the one that stays.
            driverProblems.withLock { $0 = problems }
            return (result, before, healthState.plans, isOtherwise)
        }
        if isOtherwise { suspicions.signal() }
        // In an outage every write comes back as a change; mostly it is news to nobody.
        if before.events != after.events { events.signal() }
        if before.unknownEvents != after.unknownEvents { unknownEvents.signal() }
        if before.responseEvents != after.responseEvents { responseEvents.signal() }
        if before.statuses != after.statuses { statuses.signal() }
        probeable.signal()
        return result
    }

    /// What is wrong with the driver; takes no lock of the core, which may be held for long.
    var driverProblem: String? {
        let isSupported = term.withLock { $0.strategy } != ProbeStrategy.none
        let problems = driverProblems.withLock { $0 }
        return problems.description(missingCapabilities: isSupported ? nil : ProbeStrategy.missingCapabilities)
    }

    private let seenStatusSupport = Mutex<Set<Bool>>([])

    /// Whether the API server was not found before to keep, or not to keep, the status field. It is asked in each term.
    func isFirst(keepsStatus: Bool) -> Bool { seenStatusSupport.withLock { $0.insert(keepsStatus).inserted } }

    private let attempts = Atomic<UInt64>(0)

    /// Names one attempt to record an event that is not of the core's queues.
    func attemptID() -> String {
        "\(term.withLock { $0.id })-d\(attempts.add(1, ordering: .relaxed).newValue)"
    }

    /// Names one attempt to record an event, unlike those of other replicas and of earlier terms.
    func name<Key, State>(of pendingReport: PendingReport<Key, State>) -> String {
        "\(term.withLock { $0.id })-\(pendingReport.attemptID)"
    }

    /// Whether single volumes can be probed.
    var probing: Probing { term.withLock { $0.probing } }

    /// Returns whether it is another one than before.
    func adopt(_ new: ProbeStrategy) -> Bool {
        term.withLock { term in
            defer { term.strategy = new }
            return term.strategy != new
        }
    }

    /// Whether volumes are probed one by one because the driver has no list.
    var isWithoutList: Bool {
        if case .get = term.withLock({ $0.strategy }) { true } else { false }
    }

    /// In whose terms the driver reports health; nil until it is known, and where it does not.
    var generation: ProbeStrategy.Generation? { term.withLock { $0.strategy?.generation } }

    /// Returns whether it is another kind of problem than before.
    func adopt(_ new: ListProblem?) -> Bool {
        term.withLock { term in
            defer { term.listProblem = new }
            switch (term.listProblem, new) {
            case (nil, nil), (.noConditions, .noConditions), (.foreignIDs, .foreignIDs): return false
            default: return true
            }
        }
    }

    /// Returns whether it is otherwise than before.
    func adopt(listsSomeWithoutCondition new: Bool) -> Bool {
        term.withLock { term in
            defer { term.listsSomeWithoutCondition = new }
            return term.listsSomeWithoutCondition != new
        }
    }

    /// - Parameter listInterval: in which volumes are listed.
    func snapshot(listInterval: Duration, at now: Duration) -> HealthSnapshot {
        let strategy = term.withLock { $0.strategy }
        let ages = ages(at: now)
        let listAge = isWithoutList ? nil : (ages.sweep ?? ages.term).map { $0 / listInterval }
        let round = lastRound.withLock { $0 }
        var (snapshot, claims) = withHealthState { healthState in
            var numbers = HealthSnapshot(numbersOf: healthState, strategy, at: now)
            numbers.lastRound = round
            numbers.age(healthState, listAge: healthState.keptProbeInterval == nil ? listAge : nil, at: now)
            return (numbers, healthState.unhealthyClaims)
        }
        // In an outage these are many, and whatever is reported waits for the lock: some at a time.
        while !claims.isEmpty {
            let some = Array(claims.suffix(256))
            claims.removeLast(some.count)
            let states = withHealthState { $0.unhealthyStates(of: some) }
            for (claim, state, since) in states {
                snapshot.unhealthyClaims.append(.init(claim, state, age: now - since))
            }
        }
        return snapshot
    }
}
