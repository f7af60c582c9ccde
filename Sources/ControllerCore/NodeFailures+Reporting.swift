// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

package import HealthCore

/// The failure of one node, reported on one claim.
package struct NodeFailureKey: Sendable, Hashable {
    /// The name of the node.
    package var node: String
    /// `metadata.uid` of the claim.
    package var claimUID: String

    package init(node: String, claimUID: String) {
        self.node = node
        self.claimUID = claimUID
    }
}

/// The state of a node on which pods use a claim.
package struct NodeFailureState: Reportable {
    /// The name of the node.
    package var node: String
    /// The names of the pods on the failed node that use the claim, sorted; empty: the node has recovered.
    package var pods: [String]

    package init(node: String, pods: [String]) {
        self.node = node
        self.pods = pods
    }

    /// Whether the node has recovered.
    package var isClear: Bool { pods.isEmpty }

    /// The fingerprint of the node's name: the failure is the same, whichever pods are on the node.
    package var fingerprint: Fingerprint { Fingerprint([node]) }
}

/// The reports to send, with `next` and `complete`.
extension NodeFailures {
    /// An earlier process reported the node's failure on the claim, and no recovery since (rule 9). What is known of
    /// the claim on this node already is newer, and is kept.
    ///
    /// - Parameter time: when it was reported; may be before the clock's origin.
    package mutating func restore(reportedFailureOf node: String, to claim: Claim, reportedAt time: Duration) {
        guard affectedClaims[node]?[claim.uid] == nil else { return }
        affectedClaims[node, default: [:]][claim.uid] = AffectedClaim(
            claim: claim,
            reported: Reported(time: time, isCertain: true)
        )
        scheduleReview(of: node, at: time)
    }

    /// The next event on a claim. Record it, then call ``complete(_:_:at:)`` in any case. Nothing is reported before both
    /// watches have delivered their first list.
    ///
    /// - Parameter claim: returns the claim with this key; nil when it uses no volume of the monitored driver.
    package mutating func next(
        at now: Duration,
        claim: (ClaimKey) -> Claim?
    ) -> NextStep<PendingReport<NodeFailureKey, NodeFailureState, Claim>> {
        guard unsynced.isEmpty else { return .wait(until: nil) }
        review(at: now, claim: claim)
        let affectedClaims = affectedClaims
        let step = queue.next(at: now) { key in
            affectedClaims[key.node]?[key.claimUID].flatMap { claim($0.claim.key) }.flatMap {
                $0.uid == key.claimUID ? $0 : nil
            }
        }
        if case .run(let report) = step {
            self.affectedClaims[report.key.node]?[report.key.claimUID]?.isReportUnderWay = true
        }
        return step.waiting(atMostUntil: reviews.first?.due)
    }

    /// The events that have failed and wait; nil when there are none.
    package var failingReports: FailingReports? {
        let uncertain = affectedClaims.values.flatMap { $0.values.compactMap(\.uncertainSince) }
        let since = uncertain.min().map { FailingReports(count: uncertain.count, since: $0) }
        return .sum([queue.failing, since])
    }

    /// How many events wait or are under way.
    package var waitingReports: Int { queue.backlog.depth }

    /// An event was recorded, as ``HealthCore/ReportQueue/recorded(_:count:at:)``.
    package mutating func recorded(
        _ report: PendingReport<NodeFailureKey, NodeFailureState, Claim>,
        count: Int,
        at now: Duration
    ) {
        queue.recorded(report, count: count, at: now)
    }

    /// Completes an event.
    ///
    /// - Returns: whether the outcome is a failure worth a warning: the first of its claim, of its namespace, or of
    ///   all.
    @discardableResult
    package mutating func complete(
        _ report: PendingReport<NodeFailureKey, NodeFailureState, Claim>,
        _ outcome: ReportOutcome,
        at now: Duration
    ) -> Bool {
        let key = report.key
        let isFirstFailure = queue.complete(report, outcome, at: now)
        guard var affected = affectedClaims[key.node]?[key.claimUID] else { return isFirstFailure }
        if affected.isReviewDeferred { scheduleReview(of: key.node, at: now) }
        affected.isReportUnderWay = false
        affected.isReviewDeferred = false
        affected.uncertainSince = outcome.isUncertain ? affected.uncertainSince ?? now : nil
        if outcome.isUncertain {
            // It is unknown whether the event was recorded: what holds now is reported again.
            affected.reported = Reported(time: now, isCertain: false)
            affected.pending = nil
            queue.remove(key)
            scheduleReview(of: key.node, at: now)
        }
        switch outcome {
        case .reported where report.state.isClear, .gone:
            affectedClaims[key.node]?[key.claimUID] = nil
            return isFirstFailure
        case .reported:
            affected.reported = Reported(time: now, isCertain: true)
        case .refused, .failed, .unreachable:
            break
        }
        affectedClaims[key.node]?[key.claimUID] = affected
        return isFirstFailure
    }
}
