// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

package import HealthCore

/// Events on pods.
///
/// A volume that has turned unhealthy is reported after ``Configuration-swift.struct/reportDelay``, unless its pod has
/// ended meanwhile (``NewConditions``). After a failure of the watch of pods all events wait until it has been open for
/// as long (``PodWatchSettling``). Of a volume that changes too often only the latest state is reported, at the end
/// of each pause, and an event says so (`HealthCore/FlapGuard`). The pod's readiness condition and the metrics follow
/// each response.
extension NodeHealthState {
    /// Reports the health of a volume, unless it has to wait.
    mutating func report(_ state: VolumeState, on key: NodeVolumeKey, at now: Duration) {
        let isReported = events.fingerprint(key) != nil || flaps.waiting(key) != nil
        let hasWaited = newConditions.contains(key)
        guard newConditions.passes(state, of: key, isReported: isReported, at: now) else { return }
        // It was unhealthy for less than the delay: no event says so.
        if hasWaited, state.isClear { flaps.countUnreported(key, at: now) }
        reportUnlessFlapping(state, on: key, at: now)
    }

    private mutating func reportUnlessFlapping(_ state: VolumeState, on key: NodeVolumeKey, at now: Duration) {
        let passes = flaps.passes(state, for: key, reported: events.fingerprint(key), at: now)
        if let flapping = flaps.flapping(key) {
            let event = FlappingState(changes: flapping.changes, since: flapping.since, state: state)
            flapEvents.set(event, for: key, at: now)
        }
        if passes { events.set(state, for: key, at: now) }
    }

    /// Reports what has waited long enough, and ends the flapping of volumes that have been quiet.
    private mutating func reportWaiting(at now: Duration) {
        for (key, state) in newConditions.release(at: now) { reportUnlessFlapping(state, on: key, at: now) }
        guard let due = flaps.firstDue, due <= now else { return }
        let release = flaps.release(at: now)
        for (key, state) in release.states { events.set(state, for: key, at: now) }
        for key in release.ended { flapEvents.remove(key) }
    }

    /// The next event on a pod with an unhealthy or recovered volume. Transitions come before refreshes; in an outage
    /// all wait for one random delay (``EventHold``). Record it, then call ``complete(event:_:at:)`` in any case.
    package mutating func nextEvent(
        at now: Duration
    ) -> NextStep<PendingReport<NodeVolumeKey, VolumeState, NodeVolume>> {
        guard podWatch.isSettled(at: now) else { return .wait(until: podWatch.settles) }
        reportWaiting(at: now)
        let due = events.newTransitions(at: now, within: EventHold.window)
        if let held = eventHold.until(due: due, at: now, using: &random) { return .wait(until: held) }
        return events.next(at: now) { volumes[$0]?.target }
            .waiting(atMostUntil: flaps.firstDue).waiting(atMostUntil: newConditions.firstDue)
    }

    /// Completes a report of ``nextEvent(at:)``.
    ///
    /// - Returns: whether to log a warning: the outcome is the first failure of its pod, of its namespace, or of all.
    @discardableResult
    package mutating func complete(
        event: PendingReport<NodeVolumeKey, VolumeState, NodeVolume>,
        _ outcome: ReportOutcome,
        at now: Duration
    ) -> Bool {
        events.complete(event, outcome, at: now)
    }

    /// An event of ``nextEvent(at:)`` was recorded. Called before it is completed:
    /// ``HealthCore/ReportQueue/recorded(_:count:at:)``.
    package mutating func recorded(
        event: PendingReport<NodeVolumeKey, VolumeState, NodeVolume>,
        count: Int,
        at now: Duration
    ) {
        events.recorded(event, count: count, at: now)
    }

    /// The next event on a volume that is flapping. Record it, then call ``complete(flappingEvent:_:at:)`` in any case.
    package mutating func nextFlappingEvent(
        at now: Duration
    ) -> NextStep<PendingReport<NodeVolumeKey, FlappingState, NodeVolume>> {
        guard podWatch.isSettled(at: now) else { return .wait(until: podWatch.settles) }
        return flapEvents.next(at: now) { volumes[$0]?.target }
    }

    /// Completes a report of ``nextFlappingEvent(at:)``; returns as ``complete(event:_:at:)``.
    @discardableResult
    package mutating func complete(
        flappingEvent event: PendingReport<NodeVolumeKey, FlappingState, NodeVolume>,
        _ outcome: ReportOutcome,
        at now: Duration
    ) -> Bool {
        flapEvents.complete(event, outcome, at: now)
    }

    /// The next event on a condition of an unknown type. Record it, then call ``complete(unknownEvent:_:at:)`` in any
    /// case.
    package mutating func nextUnknownEvent(
        at now: Duration
    ) -> NextStep<PendingReport<UnknownNodeConditionKey, UnknownCondition, NodeVolume>> {
        guard podWatch.isSettled(at: now) else { return .wait(until: podWatch.settles) }
        return unknowns.next(at: now) { volumes[$0.volume]?.target }
    }

    /// Completes a report of ``nextUnknownEvent(at:)``; returns as ``complete(event:_:at:)``.
    @discardableResult
    package mutating func complete(
        unknownEvent event: PendingReport<UnknownNodeConditionKey, UnknownCondition, NodeVolume>,
        _ outcome: ReportOutcome,
        at now: Duration
    ) -> Bool {
        unknowns.complete(event, outcome, at: now)
    }

    /// The events that have failed and wait, and the readiness conditions; nil when there are none.
    package var failingReports: (events: FailingReports?, conditions: FailingReports?) {
        (.sum([events.failing, flapEvents.failing, unknowns.failing, storageEvents.failing]), readiness.failing)
    }

    /// How many reports on transitions wait or are under way.
    package var waitingReports: Int {
        events.backlog.depth + flapEvents.backlog.depth + unknowns.backlog.depth + storageEvents.backlog.depth
            + readiness.backlog.depth
    }
}

extension NodeVolume {
    /// The limit of the API server for an event's message, in bytes.
    private static let maximumMessageBytes = 1024
    /// What the names take at most, so that there is room for the driver's text.
    private static let maximumPrefixBytes = 512

    /// The text of an event on this volume: its names and its claim, as the kubelet writes them, then the conditions.
    /// The conditions are truncated, not the names.
    package func message(for state: VolumeState) -> String {
        message(state.isClear ? EventVocabulary.normalMessage : state.conditions.summary)
    }

    /// The text of the event on a volume that is flapping.
    ///
    /// - Parameter since: RFC 3339.
    package func message(for flapping: FlappingState, since: String) -> String {
        message(
            EventVocabulary.flappingMessage(
                changes: flapping.changes,
                since: since,
                conditions: flapping.state.conditions
            )
        )
    }

    /// The text of an event on a condition of an unknown type.
    package func message(for condition: UnknownCondition) -> String {
        message(EventVocabulary.unknownMessage(condition))
    }

    private func message(_ text: String) -> String {
        bounded(messagePrefix + text, toBytes: Self.maximumMessageBytes)
    }

    /// The beginning of each text on this volume, which those on other volumes of the pod do not have.
    var messagePrefix: String {
        let claim = claimName.map { " (claim \($0))" } ?? ""
        return bounded("Volume \(names.joined(separator: ", "))\(claim): ", toBytes: Self.maximumPrefixBytes)
    }
}
