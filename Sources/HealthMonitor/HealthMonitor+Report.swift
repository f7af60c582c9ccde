// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import KubernetesAPI
import KubernetesClient
import Logging
import VolumeHealth

extension HealthMonitor {
    /// How many requests of one kind are under way at most; the client's rate limit holds for all of them together. Enough
    /// for namespaces in which requests hang beside those in which they do not.
    private var concurrentReports: Int { 32 }

    /// Reports the events that are to be reported, for ever.
    func reportEvents(from state: MonitorState) async throws {
        try await report(.event, wakeUp: state.events) { now in
            state.withHealthState { $0.nextEvent(at: now) }
        } complete: { pendingReport, outcome, now in
            state.withHealthState { $0.complete(event: pendingReport, outcome, at: now) }
        } report: { pendingReport in
            let isRefresh = pendingReport.cause == .refresh
            return try await report(event(pendingReport, of: state), isKnown: isRefresh) { count in
                // One of another process may have had another name.
                guard isRefresh, pendingReport.isOwn, count == 1 else { return }
                let found = now
                state.withHealthState { $0.eventWasGone(at: found) }
            }
        }
    }

    /// Reports of conditions of unknown types, for ever.
    func reportUnknownConditions(from state: MonitorState) async throws {
        try await report(.unknownCondition, wakeUp: state.unknownEvents) { now in
            state.withHealthState { $0.nextUnknownEvent(at: now) }
        } complete: { pendingReport, outcome, now in
            state.withHealthState { $0.complete(unknownEvent: pendingReport, outcome, at: now) }
        } report: { pendingReport in
            try await report(event(pendingReport, of: state))
        }
    }

    /// Takes one stream of pendingReports from the core, reports them, and says how it went, for ever.
    ///
    /// - Parameters:
    ///   - complete: returns whether a failure is worth a warning.
    ///   - report: throws only `CancellationError`.
    func report<Key, State>(
        _ kind: ReportObservation.Kind,
        wakeUp: WakeUp,
        next: @escaping @Sendable (Duration) -> ReportStep<Key, State>,
        complete: @escaping @Sendable (PendingReport<Key, State>, ReportOutcome, Duration) -> Bool,
        report: @escaping @Sendable (PendingReport<Key, State>) async throws -> ReportAttempt
    ) async throws {
        // There are many in an outage: no thread has to wake up another one for each answer.
        try await withTaskExecutorPreference(kubernetes.taskExecutor) {
            try await dispatch(atMost: { concurrentReports }, wakeUp: wakeUp, clock: clock) {
                switch next(now) {
                case .report(let pendingReport): .run(pendingReport)
                case .wait(let due): .wait(until: due.map(instant(at:)))
                }
            } run: { pendingReport in
                try await haltUnlessLeading()
                let began = now
                let attempt = try await report(pendingReport)
                let result = ReportObservation.Result(attempt.outcome)
                observer(.reported(ReportObservation(kind: kind, result: result, duration: now - began)))
                let isFirstFailure = complete(pendingReport, attempt.outcome, now)
                if let failure = attempt.failure {
                    // Each fault has one line that is seen; its repetitions are there for those who look for them.
                    logger.log(level: isFirstFailure ? .warning : .debug, failure.message, metadata: failure.metadata)
                }
            }
        }
    }

    /// Records one event on a claim.
    ///
    /// - Parameters:
    ///   - isKnown: the event was recorded before.
    ///   - recorded: called with its count.
    /// - Throws: only `CancellationError`.
    func report(
        _ event: EventRecord,
        isKnown: Bool = false,
        recorded: (Int) -> Void = { _ in }
    ) async throws -> ReportAttempt {
        let claim = ClaimKey(namespace: event.involvedObject.namespace, name: event.involvedObject.name)
        var metadata: Logger.Metadata = [
            "PVC": claim.logValue,
            "reason": "\(event.reason)",
        ]
        do {
            let recorder = EventRecorder(client: kubernetes, attemptAnnotation: EventVocabulary.attemptAnnotation)
            let count = try await recorder.record(event, isKnown: isKnown)
            recorded(count)
            metadata["count"] = .stringConvertible(count)
            metadata["message"] = "\(event.message)"
            // An event whose count was raised reports nothing new.
            if !isKnown { eventBursts.recorded(claim, at: now) }
            logger.log(level: isKnown ? .debug : .info, "Recorded event", metadata: metadata)
            return ReportAttempt(.reported)
        } catch {
            try Task.checkCancellation()
            metadata["err"] = "\(error)"
            let outcome = ReportOutcome(error)
            if outcome == .gone {
                logger.debug("Skipped event, the claim or its namespace is gone", metadata: metadata)
                return ReportAttempt(.gone)
            }
            return ReportAttempt(outcome, "Failed to record event, retrying", metadata)
        }
    }

    private func event(_ pendingReport: PendingReport<ClaimNumber, VolumeState>, of state: MonitorState) -> EventRecord
    {
        let conditions = pendingReport.state.conditions
        return event(
            on: pendingReport.claim,
            type: conditions.isEmpty ? .normal : .warning,
            reason: conditions.isEmpty ? EventVocabulary.normalReason : EventVocabulary.abnormalReason,
            message: conditions.isEmpty
                ? EventVocabulary.normalMessage : EventVocabulary.abnormalMessage(conditions),
            fingerprint: pendingReport.state.fingerprint,
            attemptID: state.name(of: pendingReport)
        )
    }

    private func event(
        _ pendingReport: PendingReport<UnknownConditionKey, UnknownConditionState>,
        of state: MonitorState
    ) -> EventRecord {
        event(
            on: pendingReport.claim,
            type: .warning,
            reason: EventVocabulary.unknownReason,
            message: EventVocabulary.unknownMessage(pendingReport.state.condition),
            fingerprint: pendingReport.state.fingerprint,
            attemptID: state.name(of: pendingReport)
        )
    }

    /// An event of ours on a claim.
    func event(
        on claim: Claim,
        type: EventRecord.EventType,
        reason: String,
        message: String,
        fingerprint: Fingerprint,
        attemptID: String
    ) -> EventRecord {
        let component = EventVocabulary.component(driverName: configuration.driverName)
        return EventRecord(
            name: EventName.make(claim: claim, component: component, reason: reason, fingerprint: fingerprint),
            involvedObject: ObjectReference(claim),
            type: type,
            reason: reason,
            message: message,
            component: component,
            instance: configuration.identity,
            time: .now(),
            attemptID: attemptID
        )
    }
}

/// How one try to report something went.
struct ReportAttempt: Sendable {
    var outcome: ReportOutcome
    /// What to log of a failure.
    var failure: (message: Logger.Message, metadata: Logger.Metadata)?

    init(_ outcome: ReportOutcome) {
        self.outcome = outcome
    }

    init(_ outcome: ReportOutcome, _ message: Logger.Message, _ metadata: Logger.Metadata) {
        self.outcome = outcome
        failure = (message, metadata)
    }
}

extension ClaimKey {
    /// For the key `PVC` of a log line: klog's KObj.
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

extension ReportOutcome {
    /// What a failed request means for the claim, its namespace, and all others.
    init(_ error: KubernetesError) {
        switch error.code {
        case .namespaceTerminating: self = .gone
        case .notFound where error.isAboutClaim: self = .gone
        // What is wrong is this object; the next may be right.
        case .invalid, .badRequest, .conflict, .alreadyExists: self = .refused
        // The connection, or who we are, is the same for all.
        case .transport, .unauthorized: self = error.wasDefinitelyNotApplied ? .unreachable : .unanswered
        // A rule, a quota, an admission webhook, a limit of events: all of them may be of one namespace.
        default:
            self = .failed(
                RequestFailure(
                    isUncertain: !error.wasDefinitelyNotApplied,
                    isForbidden: error.code == .forbidden,
                    retryAfter: error.retryAfter
                )
            )
        }
    }
}

extension KubernetesError {
    /// Whether the Status names the claim, its namespace or its event, not a resource that the server does not serve yet.
    /// `details.kind` is the plural: k8s.io/apimachinery, `pkg/api/errors/errors.go`, `NewNotFound`.
    fileprivate var isAboutClaim: Bool {
        ["namespaces", "persistentvolumeclaims", "events"].contains(status?.details.kind ?? "")
    }
}
