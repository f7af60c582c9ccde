// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import ControllerCore
import HealthCore
import HealthRuntime
import KubernetesAPI
import KubernetesClient
import Logging
import Synchronization

extension Reporter {
    /// Records an event on the CSIDriver when an outage begins, when its numbers change, and when it ends, and logs its
    /// beginning and its end, until cancelled.
    ///
    /// RBAC: as for ``reportAbsence()``, and `get` on `events`, without which a new leader does not know what the last
    /// one reported.
    func reportOutages() async throws {
        let state = context.state
        let log = OutageLog(context)
        try await dispatcher.run(.outage, wakeUp: state.outages) { now in
            let (step, previous, outage, isReleased) = state.withLock { state in
                let before = state.plans.events
                let step = state.nextOutageEvent(at: now)
                return (step, log.exchange(state.outage), state.outage, state.plans.events != before)
            }
            if isReleased { state.events.signal() }
            log.write(from: previous, to: outage)
            return step
        } complete: { report, outcome, now in
            defer { state.events.signal() }
            return state.withLock { $0.complete(outageEvent: report, outcome, at: now) }
        } send: { report in
            let event = try await event(report)
            let driver: Logger.Metadata = ["CSIDriver": "\(event.involvedObject.name)"]
            return try await dispatcher.record(
                event,
                on: driver,
                isKnown: report.cause == .refresh,
                knownCount: certain(count: report.count)
            ) { count in
                let recordedAt = context.now
                state.withLock { $0.recorded(outageEvent: report, count: count, at: recordedAt) }
            }
        }
    }

    private func event(
        _ report: PendingReport<DriverFact, OutageState, DriverTarget>
    ) async throws -> EventRecord {
        let attempt = events.attempts.id(of: report)
        switch report.state {
        case .lasting(let outage):
            let since = wallClock(at: outage.since)
            var event = try await driverEvent(
                .warning,
                EventVocabulary.outageReason,
                outage.summary(since: EventRecord.timestamp(since)),
                attempt: attempt
            )
            event.annotations[Self.sinceAnnotation] = String(since)
            return event
        case .ended(let lasted, let unhealthy, let volumes):
            return try await driverEvent(
                .normal,
                EventVocabulary.outageEndedReason,
                OutageState.endedMessage(lasted: lasted, unhealthy: unhealthy, volumes: volumes),
                attempt: attempt
            )
        }
    }

    /// The time of the wall clock, rounded to seconds since 1970, at this moment of the monitor's clock.
    private func wallClock(at time: Duration) -> Int64 {
        let wall = Time.now()
        let exact = Duration.seconds(wall.seconds) + .nanoseconds(Int64(wall.nanos)) - (context.now - time)
        return (exact + .milliseconds(500)).components.seconds
    }
}

// MARK: What earlier leaders reported

/// An outage that an earlier leader reported and that has not ended since.
struct RecordedOutage: Sendable, Hashable {
    /// In seconds since 1970.
    var since: Int64
}

extension Reporter {
    /// The annotation of an event DriverOutage that holds when the outage began, in seconds since 1970: the Event of an
    /// earlier outage may have been reused, so its `firstTimestamp` does not.
    static let sinceAnnotation = "csi-health-monitor/outage-since"

    /// The outage that an earlier leader reported and that has not ended since; nil if there is none, or its event cannot
    /// be read. Then it may be reported again, by the same event; what was reported on claims is known all the same.
    ///
    /// Two events are read by their names: a list would be a scan of all events of the cluster.
    func readBackOutage() async throws -> RecordedOutage? {
        guard context.configuration.outageLimits != nil,
            case .event(let begun) = try await recorded(EventVocabulary.outageReason)
        else { return nil }
        switch try await recorded(EventVocabulary.outageEndedReason) {
        // The events keep their names, so a later outage has a later version of its event.
        case .event(let ended) where UInt64(ended.resourceVersion) ?? 0 > UInt64(begun.resourceVersion) ?? 0: return nil
        // It may have ended.
        case .unreadable: return nil
        case .event, .missing: break
        }
        return RecordedOutage(since: begun.annotations[Self.sinceAnnotation].flatMap(Int64.init) ?? begun.firstTime)
    }

    private enum Reading {
        case event(RecordedEvent)
        case missing
        case unreadable
    }

    private func recorded(_ reason: String) async throws -> Reading {
        do throws(KubernetesError) {
            return .event(
                try await context.kubernetes.get(
                    RecordedEvent.self,
                    name: driverEventName(reason),
                    namespace: DriverTarget.namespace
                )
            )
        } catch {
            try Task.checkCancellation()
            // No request succeeds now: the attempt is repeated as a whole.
            if [.transport, .tooManyRequests, .unauthorized].contains(error.code) { throw error }
            return error.code == .notFound ? .missing : .unreadable
        }
    }

    func restore(_ outage: RecordedOutage?) {
        guard let outage else { return }
        let now = context.now
        let age = Duration.age(of: outage.since, now: Time.now().seconds)
        context.state.update { $0.restoreOutage(since: now - age, at: now) }
    }
}

// MARK: Log

/// Logs the beginning and the end of an outage.
private final class OutageLog: Sendable {
    private let context: MonitorContext
    private let logged = Mutex<DriverOutage?>(nil)

    init(_ context: MonitorContext) {
        self.context = context
    }

    /// Stores the current outage, and returns the previous one. Called within the lock of the state, so that each change
    /// is seen once.
    func exchange(_ outage: DriverOutage?) -> DriverOutage? {
        logged.withLock { logged in
            defer { logged = outage }
            return logged
        }
    }

    func write(from previous: DriverOutage?, to outage: DriverOutage?) {
        switch (previous, outage) {
        case (nil, let outage?):
            var metadata: Logger.Metadata = [
                "unhealthy": .stringConvertible(outage.unhealthy), "volumes": .stringConvertible(outage.volumes),
                "duration": .stringConvertible(context.now - outage.since),
            ]
            if !outage.conditions.isEmpty { metadata["conditions"] = "\(outage.conditionSummary)" }
            if !outage.common.isEmpty { metadata["common"] = "\(outage.commonSummary)" }
            context.logger.warning(
                "Many volumes have turned unhealthy together, the driver has an outage",
                metadata: metadata
            )
        case (let outage?, nil):
            context.logger.notice(
                "The outage of the driver has ended",
                metadata: ["duration": .stringConvertible(context.now - outage.since)]
            )
        case (nil, nil), (_?, _?): break
        }
    }
}
