// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

package import HealthCore

/// What metrics, pages and the log show: the unhealthy claims, and how many reports wait.
extension HealthState {
    /// The claims whose volumes are unhealthy: as the driver last reported or, until its first response for the volume
    /// in this term, as an earlier process reported.
    package var unhealthyClaims: [ClaimNumber] { events.keys.filter { unhealthyState(of: $0) != nil } }

    /// The state of the volume of each of these claims, and since when its set of (status, reason) is unchanged, as far
    /// as is known, on the clock of the core. Claims that are gone, and those whose volumes have recovered, are left
    /// out.
    package func unhealthyStates(
        of claims: some Sequence<ClaimNumber>
    ) -> [(claim: Claim, state: VolumeState, since: Duration)] {
        claims.compactMap { number in
            guard let state = unhealthyState(of: number), let since = events.since(number) else { return nil }
            return index.claim(number).map { ($0, state, since) }
        }
    }

    func unhealthyState(of claim: ClaimNumber) -> VolumeState? {
        if let state = events.current(claim) { return state.isClear ? nil : state }
        guard events.contains(claim) else { return nil }
        if let state = reportedBefore[claim] { return state }
        let shown = index.healthStatus(of: claim)
        return shown.isClear ? nil : shown
    }

    /// How many events on transitions wait or are under way, and since when the oldest of them does.
    package var eventBacklog: (depth: Int, oldest: Duration?) { events.backlog }

    /// When each report under way was handed out, in no order: events, and status updates.
    package var beginningsUnderWay: (events: [Duration], statuses: [Duration]) {
        (events.beginningsUnderWay, statuses.beginningsUnderWay)
    }

    /// How many transitions were queued in this term for events and status updates, retries included.
    package var queueAdds: (events: UInt64, statuses: UInt64) { (events.adds, statuses.adds) }

    /// The reports of all streams that have failed and wait; nil when there are none. Without status updates while all of
    /// them are forbidden, and without events on failed nodes, which have a queue of their own.
    package var failingReports: FailingReports? {
        .sum([
            events.failing, unknowns.failing, responses.failing, flapEvents.failing, outages.failing,
            statuses.isForbiddenAltogether ? nil : statuses.failing,
        ])
    }
}
