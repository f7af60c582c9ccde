// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import ControllerCore
import HealthCore
import HealthRuntime
import KubernetesAPI
import KubernetesClient
import Logging
import Synchronization

/// Sends the reports in the queues of the ``ControllerCore/HealthState`` to the API server: events on claims (here),
/// their status (`Reporter+Status.swift`) and events on the CSIDriver (`Reporter+Absence.swift`,
/// `Reporter+Outage.swift`). At the beginning of a term it reads back what earlier leaders reported
/// (`Reporter+Restore.swift`).
struct Reporter: Sendable {
    let context: MonitorContext
    let dispatcher: ReportDispatcher
    let events: ClaimEvents
    let history: EventHistory
    let statusSupport = StatusSupport()
    private let bursts = EventBursts()

    init(_ context: MonitorContext, attempts: AttemptIDs) {
        self.context = context
        dispatcher = ReportDispatcher(
            kubernetes: context.kubernetes,
            time: context.time,
            gate: context.gate,
            logger: context.logger,
            observer: context.observer
        )
        events = ClaimEvents(context.configuration, attempts: attempts)
        history = EventHistory(kubernetes: context.kubernetes, time: context.time, logger: context.logger)
    }

    /// Reports until cancelled. Call ``restore()`` first, so that nothing is reported twice (rule 9).
    ///
    /// - Throws: only `CancellationError`.
    func run() async throws {
        try await runAll([
            { try await reportConditions() },
            { try await reportUnknownConditions() },
            { try await reportResponses() },
            { try await reportFlapping() },
            { try await reportAbsence() },
            { try await reportOutages() },
            { try await updateStatuses() },
            { try await maintainStatuses() },
            { try await logEventBursts() },
        ])
    }

    private func reportConditions() async throws {
        let state = context.state
        try await dispatcher.run(.event, wakeUp: state.events) { now in
            state.next { $0.nextEvent(at: now) }
        } complete: { report, outcome, now in
            state.withLock { $0.complete(event: report, outcome, at: now) }
        } send: { report in
            try await record(event(report), for: report) { $0.recorded(event: report, count: $1, at: $2) }
        }
    }

    private func event(_ report: PendingReport<ClaimNumber, VolumeState, Claim>) -> EventRecord {
        let conditions = report.state.conditions
        return events.event(
            report,
            type: conditions.isEmpty ? .normal : .warning,
            reason: conditions.isEmpty ? EventVocabulary.normalReason : EventVocabulary.abnormalReason,
            message: conditions.isEmpty
                ? EventVocabulary.normalMessage : EventVocabulary.abnormalMessage(conditions)
        )
    }

    /// The count of an event that no other process writes; nil if another one may. With a monitor on each node, several
    /// may have a volume whose nodeAffinity admits several nodes, and all have the CSIDriver.
    func certain(count: Int?) -> Int? {
        context.configuration.nodeName == nil ? count : nil
    }

    /// Records the event of a report, which may be a refresh, on its claim.
    ///
    /// - Parameter recorded: gets the event's count, and when it was recorded.
    /// - Throws: only `CancellationError`.
    private func record<Key, State>(
        _ event: EventRecord,
        for report: PendingReport<Key, State, Claim>,
        recorded: (inout HealthState, Int, Duration) -> Void
    ) async throws -> ReportAttempt {
        let isRefresh = report.cause == .refresh
        return try await record(event, on: report.claim, isKnown: isRefresh, knownCount: report.count) { count in
            let recordedAt = context.now
            context.state.withLock { recorded(&$0, count, recordedAt) }
        }
    }

    /// Records an event on a claim.
    ///
    /// - Parameters:
    ///   - isKnown: whether the event was recorded before, so that its count is to be raised.
    ///   - knownCount: the event's count, as ``KubernetesClient/EventRecorder`` takes it.
    ///   - recorded: called with the event's count, if it was recorded.
    /// - Throws: only `CancellationError`.
    func record(
        _ event: EventRecord,
        on claim: Claim,
        isKnown: Bool = false,
        knownCount: Int? = nil,
        recorded: (Int) -> Void = { _ in }
    ) async throws -> ReportAttempt {
        try await dispatcher.record(
            event,
            on: ["PVC": claim.key.logValue],
            isKnown: isKnown,
            knownCount: certain(count: knownCount)
        ) { count in
            recorded(count)
            // A refresh reports nothing new.
            if !isKnown { bursts.recorded(claim.key, at: context.now) }
        }
    }
}

// MARK: Events on claims

/// Builds the events that the monitor records on claims and on its CSIDriver. Records nothing itself.
struct ClaimEvents: Sendable {
    /// `reportingComponent` of every event.
    let component: String
    /// `reportingInstance`
    let instance: String
    let attempts: AttemptIDs

    init(_ configuration: MonitorConfiguration, attempts: AttemptIDs) {
        component = EventVocabulary.controllerComponent(driverName: configuration.driverName)
        instance = configuration.identity
        self.attempts = attempts
    }

    /// The event for a report on a claim. Its name depends only on the claim, the component, the reason and the
    /// reported state, so that a repeated report, even of another process, has the same name.
    func event<Key, State>(
        _ report: PendingReport<Key, State, Claim>,
        type: EventRecord.EventType,
        reason: String,
        message: String
    ) -> EventRecord {
        let claim = report.claim
        let name = EventName.make(
            object: claim.key.name,
            uid: claim.uid,
            component: component,
            reason: reason,
            fingerprint: report.state.fingerprint
        )
        return event(
            name: name,
            on: ObjectReference(claim),
            type: type,
            reason: reason,
            message: message,
            attemptID: attempts.id(of: report)
        )
    }

    /// An event on any object, at the current time of the wall clock.
    ///
    /// - Parameters:
    ///   - name: a name that ``EventName`` made.
    ///   - attemptID: from ``attempts``.
    func event(
        name: String,
        on object: ObjectReference,
        type: EventRecord.EventType,
        reason: String,
        message: String,
        attemptID: String
    ) -> EventRecord {
        EventRecord(
            name: name,
            involvedObject: object,
            type: type,
            reason: reason,
            message: message,
            component: component,
            instance: instance,
            time: .now(),
            attemptID: attemptID
        )
    }
}

extension ClaimKey {
    /// The value of the key `PVC` in a log line, in the form of klog's KObj.
    var logValue: Logger.Metadata.Value { ["namespace": "\(namespace)", "name": "\(name)"] }
}

extension ObjectReference {
    init(_ claim: Claim) {
        self.init()
        kind = PersistentVolumeClaim.resource.kind
        apiVersion = PersistentVolumeClaim.resource.apiVersion
        namespace = claim.key.namespace
        name = claim.key.name
        uid = claim.uid
        resourceVersion = claim.resourceVersion
    }
}

// MARK: The other events on claims

extension Reporter {
    private func reportUnknownConditions() async throws {
        let state = context.state
        try await dispatcher.run(.unknownCondition, wakeUp: state.unknownEvents) { now in
            state.withLock { $0.nextUnknownEvent(at: now) }
        } complete: { report, outcome, now in
            state.withLock { $0.complete(unknownEvent: report, outcome, at: now) }
        } send: { report in
            let event = events.event(
                report,
                type: .warning,
                reason: EventVocabulary.unknownReason,
                message: EventVocabulary.unknownMessage(report.state)
            )
            return try await record(event, on: report.claim)
        }
    }

    private func reportResponses() async throws {
        let state = context.state
        try await dispatcher.run(.unresponsive, wakeUp: state.responseEvents) { now in
            state.withLock { $0.nextResponseEvent(at: now) }
        } complete: { report, outcome, now in
            state.withLock { $0.complete(responseEvent: report, outcome, at: now) }
        } send: { report in
            let isUnresponsive = report.state.isUnresponsive
            let event = events.event(
                report,
                type: isUnresponsive ? .warning : .normal,
                reason: isUnresponsive ? EventVocabulary.healthUnknownReason : EventVocabulary.healthKnownReason,
                message: isUnresponsive ? EventVocabulary.healthUnknownMessage : EventVocabulary.healthKnownMessage
            )
            return try await record(event, for: report) { $0.recorded(responseEvent: report, count: $1, at: $2) }
        }
    }

    private func reportFlapping() async throws {
        let state = context.state
        try await dispatcher.run(.flapping, wakeUp: state.flappingEvents) { now in
            state.withLock { $0.nextFlappingEvent(at: now) }
        } complete: { report, outcome, now in
            state.withLock { $0.complete(flappingEvent: report, outcome, at: now) }
        } send: { report in
            let flapping = report.state
            let event = events.event(
                report,
                type: .warning,
                reason: EventVocabulary.flappingReason,
                message: EventVocabulary.flappingMessage(
                    changes: flapping.changes,
                    since: EventRecord.timestamp(wallClockSeconds(at: flapping.since)),
                    conditions: flapping.state.conditions
                )
            )
            return try await record(event, on: report.claim, isKnown: report.cause == .refresh)
        }
    }
}

// MARK: Bursts of events

extension Reporter {
    /// Logs one line for each burst of events, because single events are not logged at `--v=0`. On cancellation the
    /// current burst is logged at once.
    private func logEventBursts() async throws {
        defer { logEventBurst() }
        while true {
            guard let end = bursts.end else {
                await bursts.began.wait()
                try Task.checkCancellation()
                continue
            }
            if context.now < end {
                try await context.time.sleep(until: end)
            } else {
                logEventBurst()
            }
        }
    }

    private func logEventBurst() {
        guard let burst = bursts.finish() else { return }
        context.logger.notice(
            "Recorded many events",
            metadata: [
                "events": .stringConvertible(burst.events), "duration": .stringConvertible(burst.duration),
                "firstPVCs": .array(burst.claims.map(\.logValue)),
            ]
        )
    }
}

/// The current burst of events, shared by the tasks that record events and the one that logs bursts.
private final class EventBursts: Sendable {
    private let burst = Mutex(EventBurst())
    /// Signalled when a burst begins.
    let began = WakeUp()

    var end: Duration? { burst.withLock { $0.end } }

    func recorded(_ claim: ClaimKey, at now: Duration) {
        if burst.withLock({ $0.recorded(claim, at: now) }) { began.signal() }
    }

    func finish() -> EventBurst.Summary? { burst.withLock { $0.finish() } }
}
