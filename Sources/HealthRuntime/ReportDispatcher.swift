// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

package import HealthCore
import KubernetesAPI
package import KubernetesClient
package import Logging
import Synchronization

/// Processes ``ReportQueue``s: takes the reports that are due, sends each to the API server, and completes it with its
/// outcome.
package struct ReportDispatcher: Sendable {
    private let kubernetes: KubernetesClient
    private let time: ElapsedTime
    private let gate: LeadershipGate
    private let logger: Logger
    private let observer: @Sendable (MonitorObservation) -> Void

    private let concurrentReports: Int
    private let lastFailure = LastReportError()

    /// The error of the last report that failed; nil when none has.
    package var lastError: String? { lastFailure.value }

    /// - Parameters:
    ///   - kubernetes: its rate limit applies to the reports of all kinds together.
    ///   - concurrentReports: the maximum of concurrent reports of one kind. The default is enough for several
    ///     namespaces in which requests hang, and others beside them.
    package init(
        kubernetes: KubernetesClient,
        time: ElapsedTime,
        gate: LeadershipGate,
        logger: Logger,
        concurrentReports: Int = 32,
        observer: @escaping @Sendable (MonitorObservation) -> Void
    ) {
        self.kubernetes = kubernetes
        self.time = time
        self.gate = gate
        self.logger = logger
        self.concurrentReports = concurrentReports
        self.observer = observer
    }

    /// Sends the reports of one queue, until cancelled.
    ///
    /// - Parameters:
    ///   - wakeUp: signalled when a report may be due.
    ///   - next: the queue's `next`.
    ///   - complete: the queue's `complete`, which returns whether a failure is worth a warning.
    ///   - send: throws only `CancellationError`.
    package func run<Key, State, Target>(
        _ kind: ReportObservation.Kind,
        wakeUp: WakeUp,
        next: @escaping @Sendable (Duration) -> NextStep<PendingReport<Key, State, Target>>,
        complete: @escaping @Sendable (PendingReport<Key, State, Target>, ReportOutcome, Duration) -> Bool,
        send: @escaping @Sendable (PendingReport<Key, State, Target>) async throws -> ReportAttempt
    ) async throws {
        let limit: @Sendable () -> Int = { concurrentReports }
        let burst = Mutex(FailureBurst())
        try await dispatch(atMost: limit, wakeUp: wakeUp, time: time) {
            next(time.now)
        } run: { report in
            try await gate.haltUnlessLeading()
            let began = time.now
            let attempt = try await send(report)
            let result = ReportObservation.Result(attempt.outcome)
            observer(
                .reported(
                    ReportObservation(
                        kind: kind,
                        result: result,
                        duration: time.now - began,
                        queued: began - report.due
                    )
                )
            )
            let isFirstFailure = complete(report, attempt.outcome, time.now)
            guard let failure = attempt.failure else { return }
            if let error = failure.metadata["err"] { lastFailure.set("\(error)") }
            // The first failure is logged as a warning, its repetitions at a higher verbosity.
            guard isFirstFailure else { return logger.debug(failure.message, metadata: failure.metadata) }
            let line = burst.withLock { $0.next(at: time.now) }
            logger.log(level: line == .warning ? .warning : .info, failure.message, metadata: failure.metadata)
            if line == .more {
                logger.warning("Many reports failed, logging the others of this minute at --v=2 only")
            }
        }
    }

    /// Records one event.
    ///
    /// - Parameters:
    ///   - metadata: the involved object, for the log.
    ///   - isKnown: the event was recorded before.
    ///   - knownCount: the count that it had then; nil: not known.
    ///   - recorded: called with the event's count.
    /// - Throws: only `CancellationError`.
    package func record(
        _ event: EventRecord,
        on metadata: Logger.Metadata,
        isKnown: Bool = false,
        knownCount: Int? = nil,
        recorded: (Int) -> Void = { _ in }
    ) async throws -> ReportAttempt {
        var metadata = metadata
        metadata["reason"] = "\(event.reason)"
        do {
            let recorder = EventRecorder(client: kubernetes, attemptAnnotation: AttemptIDs.annotation)
            let count = try await recorder.record(event, isKnown: isKnown, knownCount: knownCount)
            recorded(count)
            metadata["count"] = .stringConvertible(count)
            metadata["message"] = "\(event.message)"
            logger.log(level: isKnown ? .debug : .info, "Recorded event", metadata: metadata)
            return ReportAttempt(.reported)
        } catch {
            try Task.checkCancellation()
            metadata["err"] = "\(error)"
            let outcome = ReportOutcome(error)
            if outcome == .gone {
                logger.debug("Skipped event, the involved object or its namespace is gone", metadata: metadata)
                return ReportAttempt(.gone)
            }
            return ReportAttempt(outcome, "Failed to record event, retrying", metadata)
        }
    }
}

/// The outcome of one attempt to report something.
package struct ReportAttempt: Sendable {
    package var outcome: ReportOutcome
    /// What to log about a failure.
    package var failure: (message: Logger.Message, metadata: Logger.Metadata)?

    package init(_ outcome: ReportOutcome) {
        self.outcome = outcome
    }

    package init(_ outcome: ReportOutcome, _ message: Logger.Message, _ metadata: Logger.Metadata) {
        self.outcome = outcome
        failure = (message, metadata)
    }
}

extension ReportOutcome {
    /// What a failed request means for its object, its namespace and all others.
    package init(_ error: KubernetesError) {
        switch error.code {
        case .namespaceTerminating: self = .gone
        case .notFound where error.isAboutTarget: self = .gone
        // The error is about this object; requests for others may succeed.
        case .invalid, .badRequest, .conflict, .alreadyExists: self = .refused
        // The server cannot be reached, and the credentials are the same for all requests.
        case .transport where error.wasDefinitelyNotApplied, .unauthorized: self = .unreachable
        // An RBAC rule, a quota, an admission webhook, an event rate limit: each may apply to one namespace. So may a
        // connection that breaks after the request was sent: a load balancer may reset a request that takes long.
        default:
            self = .failed(
                RequestFailure(
                    isUncertain: !error.wasDefinitelyNotApplied,
                    isForbidden: error.isMissingRule,
                    retryAfter: error.retryAfter
                )
            )
        }
    }
}

extension KubernetesError {
    /// Whether the Status names the object, its namespace or its event, not a resource that the server does not serve
    /// yet. `details.kind` is the plural: k8s.io/apimachinery, `pkg/api/errors/errors.go`, `NewNotFound`.
    fileprivate var isAboutTarget: Bool {
        ["namespaces", "persistentvolumeclaims", "pods", "events"].contains(status?.details.kind ?? "")
    }
}
