// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthCore
import HealthRuntime
import KubernetesAPI
import KubernetesClient
import Logging
import NodeCore

/// Records the events in the queues of the ``NodeCore/NodeHealthState``: on pods, and on the Node.
///
/// Events have a client of their own, whose rate limit is low: in an outage every node of the cluster has events.
///
/// RBAC: `create`, `get` and `patch` on `events`, `list` on `pods`.
struct NodeReporter: Sendable {
    private let context: NodeContext
    private let dispatcher: ReportDispatcher
    private let events: PodEvents

    init(_ context: NodeContext, attempts: AttemptIDs) {
        self.context = context
        dispatcher = ReportDispatcher(context, client: context.events)
        events = PodEvents(nodeName: context.configuration.nodeName, attempts: attempts)
    }

    /// The error of the last event that could not be recorded.
    var lastError: String? { dispatcher.lastError }

    /// Records events until cancelled.
    ///
    /// - Throws: only `CancellationError`.
    func run() async throws {
        try await runAll([
            { try await reportConditions() },
            { try await reportFlapping() },
            { try await reportUnknownConditions() },
            { try await reportStorage() },
        ])
    }

    private func reportConditions() async throws {
        let state = context.state
        try await dispatcher.run(.event, wakeUp: state.events) { now in
            state.nextEvent { $0.nextEvent(at: now) }
        } complete: { report, outcome, now in
            state.update { $0.complete(event: report, outcome, at: now) }
        } send: { report in
            if let outcome = try await outcomeWithoutEvent(report) { return outcome }
            return try await dispatcher.record(
                events.event(report),
                on: report.target.metadata,
                isKnown: report.cause == .refresh,
                knownCount: report.count
            ) { count in
                let recordedAt = context.now
                state.update { $0.recorded(event: report, count: count, at: recordedAt) }
            }
        }
    }

    private func reportFlapping() async throws {
        let state = context.state
        try await dispatcher.run(.flapping, wakeUp: state.flappingEvents) { now in
            state.withLock { $0.nextFlappingEvent(at: now) }
        } complete: { report, outcome, now in
            state.update { $0.complete(flappingEvent: report, outcome, at: now) }
        } send: { report in
            if let outcome = try await outcomeWithoutEvent(report) { return outcome }
            let age = context.now - report.state.since
            return try await dispatcher.record(
                events.event(report, since: Time.now().seconds - age.components.seconds),
                on: report.target.metadata,
                isKnown: report.cause == .refresh
            )
        }
    }

    private func reportUnknownConditions() async throws {
        let state = context.state
        try await dispatcher.run(.unknownCondition, wakeUp: state.unknownEvents) { now in
            state.withLock { $0.nextUnknownEvent(at: now) }
        } complete: { report, outcome, now in
            state.update { $0.complete(unknownEvent: report, outcome, at: now) }
        } send: { report in
            if let outcome = try await outcomeWithoutEvent(report) { return outcome }
            return try await dispatcher.record(events.event(report), on: report.target.metadata)
        }
    }

    private func reportStorage() async throws {
        let state = context.state
        try await dispatcher.run(.event, wakeUp: state.storageEvents) { now in
            state.withLock { $0.nextStorageEvent(at: now) }
        } complete: { report, outcome, now in
            state.update { $0.complete(storageEvent: report, outcome, at: now) }
        } send: { report in
            try await dispatcher.record(
                events.event(report),
                on: ["node": "\(context.configuration.nodeName)", "driver": "\(report.target.driver)"],
                isKnown: report.cause == .refresh
            )
        }
    }
}

extension ReportDispatcher {
    /// Eight concurrent reports of each kind: few, because every node runs an agent; more than four, the limit of one
    /// namespace, so that one that hangs stops no other.
    init(_ context: NodeContext, client: KubernetesClient) {
        self.init(
            kubernetes: client,
            time: context.time,
            gate: LeadershipGate(logger: context.logger) { true },
            logger: context.logger,
            concurrentReports: 8,
            observer: context.observer
        )
    }
}

// MARK: The pod of an unhealthy volume

extension NodeReporter {
    /// Looks at the pod again before a condition is reported: the watch may be behind, and the kubelet unmounts the
    /// volumes of a pod that has ended or is being deleted, which many drivers report as abnormal.
    ///
    /// - Returns: the outcome if no event is to be recorded; nil: record it.
    private func outcomeWithoutEvent<Key, State>(
        _ report: PendingReport<Key, State, NodeVolume>
    ) async throws -> ReportAttempt? {
        let volume = report.target
        guard report.cause == .transition, !report.state.isClear else { return nil }
        do {
            let selection = Selection(namespace: volume.namespace, fieldSelector: "metadata.name=\(volume.podName)")
            var pages = context.kubernetes.list(WatchedPod.self, selection).makeAsyncIterator()
            while var page = try await pages.next() {
                while let pod = try page.next() {
                    let isSame = pod.pod.metadata.uid == volume.podUID
                    if isSame, !pod.isDeleting, !pod.hasEnded { return nil }
                }
            }
            context.logger.debug("Skipped event, the pod has ended or was deleted", metadata: volume.metadata)
            return ReportAttempt(.gone)
        } catch {
            try Task.checkCancellation()
            var outcome = ReportOutcome(error)
            if case .failed(var failure) = outcome {
                // Nothing was recorded.
                failure.isUncertain = false
                outcome = .failed(failure)
            }
            return ReportAttempt(
                outcome,
                "Failed to get pod, retrying",
                volume.metadata.merging(["err": "\(error)"]) { $1 }
            )
        }
    }
}
