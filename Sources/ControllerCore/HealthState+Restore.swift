// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

package import HealthCore

/// What earlier processes have reported on claims (rule 9).
extension HealthState {
    /// Restores that the last event of an earlier process on this claim reported this state (rule 9). Ignored if no
    /// claim has this key and uid any more.
    ///
    /// Called before the first report of the term, or later if the events could not be read back then: what this
    /// process has reported on the claim meanwhile takes precedence.
    ///
    /// - Parameters:
    ///   - fingerprint: the fingerprint of the ``VolumeState`` that was reported, which is not clear.
    ///   - state: the state that was reported; nil if the event does not contain all of it.
    ///   - time: when it was reported; may be before the clock's origin.
    ///   - since: since when the state has lasted; ignored if the claim's status shows that. nil: since `time`.
    ///   - count: the event's count; 0: not known, or the event has a name that this process would not give it.
    ///   - wall: `now` in seconds since 1970, to convert the times in the claim's status; nil: these are ignored.
    package mutating func restore(
        reported fingerprint: Fingerprint,
        state: VolumeState? = nil,
        claimUID: String,
        key: ClaimKey,
        reportedAt time: Duration,
        since: Duration? = nil,
        count: Int = 0,
        at now: Duration,
        wall: Int64? = nil
    ) {
        guard let claim = index.number(at: key), index.uid(of: claim) == claimUID else { return }
        if index.hasVolume(claim) {
            events.restore(
                reported: fingerprint,
                for: claim,
                reportedAt: time,
                since: shownSince(claim, fingerprint, at: now, wall: wall) ?? since,
                count: count
            )
            if let state, events.current(claim) == nil { reportedBefore[claim] = state }
        } else if index.showsUnhealthy(claim) {
            // The claim used a volume of the monitored driver that was deleted while no process watched.
            setStatus(.clear, for: claim, at: now)
        }
    }

    /// Restores what was reported on claims without an event: what their status shows (rule 9). It counts as reported
    /// one refresh interval ago, so that a state that the driver still reports is recorded at once. Called after
    /// ``restore(reported:state:claimUID:key:reportedAt:since:count:at:wall:)``.
    ///
    /// - Parameter known: the uids of claims that have an event.
    package mutating func restoreFromStatuses(except known: Set<String>, at now: Duration, wall: Int64? = nil) {
        for claim in index.unhealthyStatuses
        where index.hasVolume(claim) && index.uid(of: claim).map(known.contains) == false {
            let longAgo = now - (ReportTiming.lastingEvents.refreshInterval ?? .zero)
            let shown = index.healthStatus(of: claim)
            // A claim condition does not contain all of the reported state.
            let fingerprint = shown.isClear ? .unknown : shown.fingerprint
            events.restore(
                reported: fingerprint,
                for: claim,
                reportedAt: longAgo,
                since: shownSince(claim, fingerprint, at: now, wall: wall)
            )
        }
    }

    /// Since when the claim's status shows the state with this fingerprint; nil when it does not show it.
    private func shownSince(
        _ claim: ClaimNumber,
        _ fingerprint: Fingerprint,
        at now: Duration,
        wall: Int64?
    ) -> Duration? {
        guard let wall, let since = index.unhealthySince(claim, showing: fingerprint), since > 0 else { return nil }
        // A `Duration` holds the difference of any two numbers, and a time in the future counts as now: the API server
        // does not validate the times in a claim's status.
        return now - max(.zero, .seconds(wall) - .seconds(since))
    }
}
