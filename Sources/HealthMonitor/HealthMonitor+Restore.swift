// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

package import KubernetesAPI
import KubernetesClient
import Logging
package import VolumeHealth

extension HealthMonitor {
    /// Reads back what earlier processes reported (rule 9): of every claim, the last event of ours. What its status says
    /// is known from the watch.
    ///
    /// - Returns: whether it is known now; after a minute of failures it is not.
    func restore(into state: MonitorState) async throws -> Bool {
        if let recorded = try await withinLimits({ try await readBack() }) {
            restore(recorded, into: state)
            return true
        }
        logger.error(
            "Failed to read back events, continuing with the claims' status: events may be recorded again"
        )
        let gaveUp = now
        state.update { $0.restoreFromStatuses(except: [], at: gaveUp, wall: Time.now().seconds) }
        return false
    }

    /// Tries to read back as often as ``ReadBackLimits`` allows; nil where that was not often enough. While the API server
    /// cannot be reached, or is too busy for anybody, no try counts: nothing could be recorded either.
    ///
    /// - Throws: only `CancellationError`.
    func withinLimits<Recorded>(_ readBack: () async throws -> Recorded) async throws -> Recorded? {
        var limits = ReadBackLimits()
        var level = Logger.Level.warning
        while true {
            let pause: Duration?
            do {
                return try await readBack()
            } catch {
                try Task.checkCancellation()
                logger.log(level: level, "Failed to read back events, retrying", metadata: ["err": "\(error)"])
                level = .debug
                pause = limits.pause(after: error as? KubernetesError, at: now)
            }
            guard let pause else { return nil }
            try await clock.sleep(for: pause)
        }
    }

    /// Goes on to read back where ``restore(into:)`` had to give up, until it succeeds; then waits for the cancellation.
    ///
    /// - Note: What ends between its list of events and the restoring counts as not reported and is recorded once more.
    func restoreLater(into state: MonitorState) async throws {
        while true {
            try await clock.sleep(for: ReadBackLimits.laterInterval)
            do {
                restore(try await readBack(), into: state)
                return try await untilCancelled()
            } catch {
                try Task.checkCancellation()
                logger.debug("Failed to read back events, retrying", metadata: ["err": "\(error)"])
            }
        }
    }

    private func readBack() async throws -> RecordedHistory {
        let reasons = [
            EventVocabulary.abnormalReason, EventVocabulary.normalReason, EventVocabulary.unknownReason,
            EventVocabulary.unansweredReason, EventVocabulary.answeredReason,
        ]
        let component = EventVocabulary.component(driverName: configuration.driverName)
        return try await readBack(reasons, into: RecordedHistory(component: component)) { $0.add($1) }
    }

    private func restore(_ recorded: RecordedHistory, into state: MonitorState) {
        let restored = now
        state.update { $0.restore(recorded, at: restored) }
        logger.debug("Read back events", metadata: ["claims": .stringConvertible(recorded.volumes.count)])
    }

    /// Reads our events on claims. Each request of it ends in the client's request timeout: a field selector is evaluated on
    /// every event of the cluster, which can take longer than the API server allows for ever
    /// (https://github.com/kubernetes/kubernetes/issues/81906).
    func readBack<Reported>(
        _ reasons: [String],
        into nothing: Reported,
        add: (inout Reported, Event) -> Void
    ) async throws -> Reported {
        let kind = PersistentVolumeClaim.resource.kind
        let component = EventVocabulary.component(driverName: configuration.driverName)
        var recorded = nothing
        for reason in reasons {
            let selector = "involvedObject.kind=\(kind),source=\(component),reason=\(reason)"
            var pages = kubernetes.list(Event.self, Selection(fieldSelector: selector)).makeAsyncIterator()
            while var page = try await pages.next() {
                while let event = try page.next() { add(&recorded, event) }
            }
        }
        return recorded
    }
}

/// How long it is tried to read back, before the monitor goes on without (rule 9): three tries, none of which begins a minute
/// after the first has failed.
struct ReadBackLimits: Sendable {
    /// Between tries after that.
    static let laterInterval = Duration.seconds(300)
    private static let total = Duration.seconds(60)
    /// After each try that counts. An API server that has just started may forbid for a moment what it allows.
    private static let pauses: [Duration] = [.seconds(5), .seconds(15)]

    private var tries = 0
    private var firstFailure: Duration?
    private var unreachable = 0

    /// How long to wait before the next try; nil: there is none.
    mutating func pause(after error: KubernetesError?, at now: Duration) -> Duration? {
        if let error, [.transport, .tooManyRequests].contains(error.code) {
            unreachable += 1
            return max(ReportTiming.fields.backoff(afterFailures: unreachable), error.retryAfter ?? .zero)
        }
        let first = firstFailure ?? now
        firstFailure = first
        tries += 1
        guard tries <= Self.pauses.count else { return nil }
        let pause = Self.pauses[tries - 1]
        return now + pause - first < Self.total ? pause : nil
    }
}

/// What earlier processes reported, as far as their events are still there.
package struct RecordedHistory: Sendable {
    /// The last event on a claim's volume.
    struct Recorded: Sendable {
        /// nil: that it has recovered.
        var fingerprint: Fingerprint?
        /// Versions are in the order of the writes; leaders' clocks may differ.
        var version: UInt64
        /// Seconds since 1970.
        var time: Int64
        /// Of the first event of this name, in seconds since 1970.
        var firstTime: Int64
        /// What was wrong, as far as the event says it.
        var state: VolumeState?
    }

    let component: String
    /// The API server does not check `involvedObject.uid`: an event in one namespace may have the uid of a claim in
    /// another, and says nothing of that one.
    struct ClaimIdentity: Sendable, Hashable {
        var key: ClaimKey
        var uid: String
    }

    private(set) var volumes: [ClaimIdentity: Recorded] = [:]
    private(set) var unknowns: [(claimUID: String, key: ClaimKey, fingerprint: Fingerprint)] = []

    /// The last event on whether the driver responds for a claim's volume.
    private(set) var responses: [ClaimIdentity: (isUnanswered: Bool, version: UInt64, time: Int64)] = [:]

    package init(component: String) {
        self.component = component
    }

    package mutating func add(_ event: Event) {
        let uid = event.involvedObject.uid
        let key = ClaimKey(namespace: event.involvedObject.namespace, name: event.involvedObject.name)
        let fingerprint = EventName.fingerprint(
            in: event.metadata.name,
            claimUID: uid,
            component: component,
            reason: event.reason
        )
        switch event.reason {
        case EventVocabulary.unknownReason:
            if let fingerprint { unknowns.append((uid, key, fingerprint)) }
        case EventVocabulary.abnormalReason:
            // An event that is not ours by name is EHM's, which knew nothing but an abnormal condition.
            add(event, ClaimIdentity(key: key, uid: uid), fingerprint ?? Self.legacy)
        case EventVocabulary.unansweredReason, EventVocabulary.answeredReason:
            guard fingerprint != nil else { return }
            let claim = ClaimIdentity(key: key, uid: uid)
            let version = UInt64(event.metadata.resourceVersion) ?? 0
            if let earlier = responses[claim], earlier.version > version { return }
            let isUnanswered = event.reason == EventVocabulary.unansweredReason
            responses[claim] = (isUnanswered, version, event.lastTimestamp.seconds)
        case EventVocabulary.normalReason:
            add(event, ClaimIdentity(key: key, uid: uid), nil)
        default: break
        }
    }

    private mutating func add(_ event: Event, _ claim: ClaimIdentity, _ fingerprint: Fingerprint?) {
        var latest = Recorded(
            fingerprint: fingerprint,
            version: UInt64(event.metadata.resourceVersion) ?? 0,
            time: event.lastTimestamp.seconds,
            firstTime: event.firstTimestamp.seconds,
            state: fingerprint.flatMap { VolumeState(summary: event.message, fingerprint: $0) }
        )
        if var earlier = volumes[claim] {
            if (earlier.version, earlier.time) > (latest.version, latest.time) { swap(&earlier, &latest) }
            // Of the same, as external-health-monitor and we name it, it began with the first; otherwise after what was so
            // before.
            latest.firstTime =
                earlier.fingerprint == latest.fingerprint
                ? min(earlier.firstTime, latest.firstTime) : max(earlier.time, latest.firstTime)
        }
        volumes[claim] = latest
    }

    private static let legacy = VolumeState([VolumeHealthCondition(abnormalMessage: "")]).fingerprint
}

extension HealthState {
    package mutating func restore(_ events: RecordedHistory, at now: Duration) {
        let wall = Time.now().seconds
        for (identity, recorded) in events.volumes {
            guard let fingerprint = recorded.fingerprint else { continue }
            let age = Duration.age(of: recorded.time, now: wall)
            let firstAge = Duration.age(of: recorded.firstTime, now: wall)
            restore(
                reported: fingerprint,
                state: recorded.state,
                claimUID: identity.uid,
                key: identity.key,
                reportedAt: now - age,
                since: recorded.firstTime > 0 ? now - firstAge : nil,
                at: now,
                wall: wall
            )
        }
        let known = events.volumes.keys.filter { claim(at: $0.key)?.uid == $0.uid }
        restoreFromStatuses(except: Set(known.map(\.uid)), at: now, wall: wall)
        for (identity, recorded) in events.responses where recorded.isUnanswered {
            let age = Duration.age(of: recorded.time, now: wall)
            restoreUnanswered(claimUID: identity.uid, key: identity.key, reportedAt: now - age)
        }
        for (uid, key, fingerprint) in events.unknowns {
            restore(reportedUnknown: fingerprint, claimUID: uid, key: key)
        }
    }
}
