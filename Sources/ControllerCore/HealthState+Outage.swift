// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

package import HealthCore

/// How many volumes claims use.
package struct VolumeUsage: Sendable, Hashable {
    package var volumes: Int
    /// Those that are unhealthy: as the driver last reported or, until its first response in this term, as an earlier
    /// process reported.
    package var unhealthy: Int
}

/// Outages of the driver: ``OutageDetector`` has the rules. An event on the CSIDriver reports an outage, is refreshed
/// when its text changes, at most once a minute, and another event ends it. Each claim is reported all the same.
///
/// - While an outage begins, events on claims wait for the event on the driver: until it has been attempted, at most
///   ``OutageLimits/maximumRequestDelay`` for the request and ``OutageLimits/maximumEventDelay`` in all. Up to the
///   threshold, claims may have been reported before.
/// - Then they follow in the order of severity: at the beginning and at each review of a lasting outage, those that wait
///   are put in order. What comes in between is reported after them.
///
/// The first complete sweep of a term, if the detector has found no outage in it:
///
/// | Reported before | Unhealthy volumes | Result |
/// |---|---|---|
/// | an outage | more than the threshold | it lasts, and no second event is recorded |
/// | an outage | not more | it has ended |
/// | no outage | more than the threshold turned unhealthy within one ``OutageLimits/window``, as earlier leaders reported | an outage, which is reported |
/// | no outage | the others: they turned unhealthy one after the other | no outage |
///
/// Without an outage, the only cost is that volumes are counted once a sweep.
extension HealthState {
    /// Whether the driver has an outage: as of the last review or, until the first one in this term, as an earlier leader
    /// reported; nil before anything is known.
    package var hasOutage: Bool? {
        if outage != nil || isOutageRestored { return true }
        return volumeUsage == nil ? nil : false
    }

    /// Whether an earlier leader reported an outage, and this one has not found it again or ended it.
    private var isOutageRestored: Bool { outages.contains(.outage) && outages.current(.outage) == nil }

    /// The volume of a claim is unhealthy.
    ///
    /// - Parameter since: since when it was unhealthy before this response, as far as this leader or earlier ones
    ///   reported; nil: it was not.
    mutating func foundUnhealthy(_ claim: ClaimNumber, since: Duration?, at now: Duration) {
        guard let since else {
            unhealthyBefore[claim] = nil
            turnedUnhealthy(claim, at: now)
            return
        }
        // The queue has another time when the state is not the one that was reported.
        if volumeUsage == nil, unhealthyBefore[claim] == nil, events.since(claim) != since {
            unhealthyBefore[claim] = since
        }
    }

    /// The volume of a claim has turned unhealthy.
    private mutating func turnedUnhealthy(_ claim: ClaimNumber, at now: Duration) {
        guard outageDetector.phase == .none, let limits = configuration.outageLimits,
            let handle = index.handle(of: claim)
        else { return }
        let windowBegan = probesEveryVolume ? now - (probes?.effectiveInterval ?? .zero) : nil
        let (index, events) = (index, events)
        let begins = outageDetector.turnedUnhealthy(handle, threshold: limits.threshold(of: usedVolumes), at: now) {
            handle,
            time in
            if let windowBegan, time < windowBegan { return false }
            return index.claims(of: handle).contains { events.current($0)?.isClear == false }
        }
        guard begins else { return }
        outageBeginnings += 1
        outagePrecedence = now + OutageLimits.maximumEventDelay
    }

    /// A sweep begins.
    mutating func beginOutageWindow() {
        guard configuration.outageLimits != nil, !probesEveryVolume else { return }
        if volumeUsage == nil { volumesInUse = index.usedHandles }
        if !isListOpen { outageDetector.beginWindow() }
    }

    /// A sweep has ended.
    mutating func reviewOutage(after end: SweepEnd, at now: Duration) {
        guard case .complete = end else {
            isListOpen = true
            if outageDetector.phase != .none { reviewOutage(isSweepComplete: false, at: now) }
            return
        }
        isListOpen = false
        // A list that cannot be used has no health: the probes of single volumes have.
        if listProblem == nil, !probesEveryVolume { reviewOutage(isSweepComplete: true, at: now) }
    }

    /// Reviews a lasting outage between sweeps, once in ``OutageLimits/reviewInterval``.
    mutating func reviewLastingOutage(at now: Duration) {
        guard outageDetector.phase == .lasting, now - outageReviewedAt >= OutageLimits.reviewInterval else { return }
        reviewOutage(isSweepComplete: false, at: now)
    }

    /// Counts the volumes, and begins, updates or ends the outage.
    ///
    /// - Parameter isSweepComplete: all volumes have just been probed, in a list or one by one.
    mutating func reviewOutage(isSweepComplete: Bool, at now: Duration) {
        outageReviewedAt = now
        let unhealthy = unhealthyVolumes
        volumesInUse = index.usedHandles
        let usage = VolumeUsage(volumes: volumesInUse, unhealthy: unhealthy.count)
        defer {
            if isSweepComplete || volumeUsage != nil {
                volumeUsage = usage
                unhealthyBefore = [:]
            }
        }
        guard let limits = configuration.outageLimits else { return }
        let isAboveThreshold = unhealthy.count > limits.threshold(of: usage.volumes)
        switch outageDetector.phase {
        case .none:
            guard isSweepComplete else { return }
            if !isOutageRestored {
                guard volumeUsage == nil, beginningByReports(unhealthy, limits) != nil else { return }
                outagePrecedence = now + OutageLimits.maximumEventDelay
            }
        case .beginning where !isAboveThreshold:
            outageDetector.end()
            releaseEvents()
            return
        case .beginning, .lasting: break
        }
        isAboveThreshold ? setOutage(unhealthy, usage, limits, at: now) : endOutage(usage, at: now)
    }

    private mutating func setOutage(
        _ unhealthy: [HandleNumber: ClaimNumber],
        _ usage: VolumeUsage,
        _ limits: OutageLimits,
        at now: Duration
    ) {
        let since = outage?.since ?? outageBeginning(unhealthy, limits, at: now)
        outageDetector.confirm()
        var conditions: [VolumeHealthCondition.Identity: Int] = [:]
        for claim in unhealthy.values {
            for condition in unhealthyState(of: claim)?.conditions ?? [] {
                conditions[condition.identity, default: 0] += 1
            }
        }
        let current = DriverOutage(
            since: since,
            unhealthy: usage.unhealthy,
            volumes: usage.volumes,
            conditions: conditions,
            placements: placements(unhealthy)
        )
        outage = current
        outages.set(.lasting(current), for: .outage, at: now)
        // An earlier leader has reported it: there is no event to wait for.
        if outages.backlog.depth == 0 { releaseEvents() }
        events.orderDueTransitions(at: now, by: \.reportRank)
    }

    /// Events on claims need not wait any longer.
    private mutating func releaseEvents() {
        guard outagePrecedence != nil else { return }
        outagePrecedence = nil
        outageReleases += 1
    }

    private mutating func endOutage(_ usage: VolumeUsage, at now: Duration) {
        outageDetector.end()
        let since = outage?.since ?? outages.since(.outage) ?? now
        outage = nil
        outages.set(
            .ended(lasted: now - since, unhealthy: usage.unhealthy, volumes: usage.volumes),
            for: .outage,
            at: now
        )
    }

    /// When the outage that begins now began: as an earlier leader reported it, or with the first of the volumes that
    /// have turned unhealthy together.
    private func outageBeginning(
        _ unhealthy: [HandleNumber: ClaimNumber],
        _ limits: OutageLimits,
        at now: Duration
    ) -> Duration {
        if isOutageRestored, let reported = outages.since(.outage) { return reported }
        if volumeUsage == nil, let began = beginningByReports(unhealthy, limits) { return began }
        let first = outageDetector.firstTurned ?? now
        return unhealthy.values.compactMap(events.since).filter { $0 >= first }.min() ?? now
    }

    /// In the first sweep of a term: when an outage of these volumes began, by the times of their transitions, which
    /// survive a leader where their reports do (rule 9). nil: there is none.
    private func beginningByReports(
        _ unhealthy: [HandleNumber: ClaimNumber],
        _ limits: OutageLimits
    ) -> Duration? {
        var limits = limits
        limits.window = effectiveProbeInterval ?? limits.window
        // Not those that the driver no longer reports, and whose recovery is not confirmed.
        let times = unhealthy.values.filter { driverState(on: $0)?.isClear == false }
            .compactMap { unhealthyBefore[$0] ?? events.since($0) }
        return limits.beginning(of: times, threshold: limits.threshold(of: volumesInUse))
    }

    /// The volumes in use that are unhealthy, each with one of its claims.
    private var unhealthyVolumes: [HandleNumber: ClaimNumber] {
        events.keys.reduce(into: [:]) { volumes, claim in
            guard events.fingerprint(claim) != nil, let handle = index.handle(of: claim) else { return }
            volumes[handle] = claim
        }
    }

    /// The volumes in use by placement.
    private func placements(_ unhealthy: [HandleNumber: ClaimNumber]) -> [PlacementCount] {
        var counts = index.usedByPlacement.mapValues { (unhealthy: 0, volumes: $0) }
        for handle in unhealthy.keys {
            if let placement = index.placement(of: handle) { counts[placement]?.unhealthy += 1 }
        }
        return counts.map {
            PlacementCount(
                placement: index.placement(at: $0.key),
                unhealthy: $0.value.unhealthy,
                volumes: $0.value.volumes
            )
        }
    }
}

// MARK: Reporting

extension HealthState {
    /// Restores that an earlier leader reported an outage, and did not report its end (rule 9).
    ///
    /// - Parameter since: when the outage began, on the clock of the core.
    package mutating func restoreOutage(since: Duration, at now: Duration) {
        guard configuration.outageLimits != nil else { return }
        // Its numbers are not known: they are refreshed a minute after this leader has found it again.
        let reported = now - (outages.refreshInterval ?? .zero) + (ReportTiming.outageEvents.messageInterval ?? .zero)
        outages.restore(reported: OutageState.lastingFingerprint, for: .outage, reportedAt: reported, since: since)
    }

    /// The next event on the driver. Record it, then call ``complete(outageEvent:_:at:)`` in any case.
    package mutating func nextOutageEvent(
        at now: Duration
    ) -> NextStep<PendingReport<DriverFact, OutageState, DriverTarget>> {
        var settled: Duration?
        if case .beginning(let crossed) = outageDetector.phase {
            settled = crossed + OutageLimits.settlingTime
            if let end = settled, now >= end {
                reviewOutage(isSweepComplete: false, at: now)
                settled = nil
            }
        }
        let step = outages.next(at: now) { _ in DriverTarget() }
        if case .run = step, let end = outagePrecedence, now + OutageLimits.maximumRequestDelay < end {
            outagePrecedence = now + OutageLimits.maximumRequestDelay
            outageReleases += 1
        }
        return step.waiting(atMostUntil: settled)
    }

    /// Completes an event; returns as ``complete(event:_:at:)``. The events on claims wait for it no longer, whatever
    /// the outcome.
    @discardableResult
    package mutating func complete(
        outageEvent event: PendingReport<DriverFact, OutageState, DriverTarget>,
        _ outcome: ReportOutcome,
        at now: Duration
    ) -> Bool {
        releaseEvents()
        return outages.complete(event, outcome, at: now)
    }

    /// An event was recorded, as ``recorded(event:count:at:)``.
    package mutating func recorded(
        outageEvent event: PendingReport<DriverFact, OutageState, DriverTarget>,
        count: Int,
        at now: Duration
    ) {
        outages.recorded(event, count: count, at: now)
    }
}

extension VolumeState {
    /// The order in which claims are reported in an outage: by the worst condition, legacy conditions after those with a
    /// status, recoveries last.
    fileprivate var reportRank: Int {
        guard let worst = conditions.first else { return 4 }
        return switch worst.status {
        case .dataLoss: 0
        case .inaccessible: 1
        case .degraded: worst.reason == VolumeHealthCondition.legacyReason ? 3 : 2
        }
    }
}
