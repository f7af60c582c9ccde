// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

package import HealthCore

/// One node's failure, as it concerns one claim.
package struct NodeFailureKey: Sendable, Hashable {
    /// The node's name.
    package var node: String
    /// `metadata.uid` of the claim.
    package var claimUID: String

    /// A failure of this node, as it concerns the claim with this uid.
    package init(node: String, claimUID: String) {
        self.node = node
        self.claimUID = claimUID
    }
}

/// What is so on a node that a claim is used on.
package struct NodeFailureState: Reportable {
    /// The node's name.
    package var node: String
    /// The pods that use the claim on it while it has failed, sorted; empty: it has recovered.
    package var pods: [String]

    /// A state of a node.
    package init(node: String, pods: [String]) {
        self.node = node
        self.pods = pods
    }

    /// The node has recovered.
    package var isClear: Bool { pods.isEmpty }

    /// Of the node: whichever pods are on it, its failure is the same.
    package var fingerprint: Fingerprint { Fingerprint([node]) }
}

/// What to report now, with `next` and `complete`.
extension NodeFailures {
    /// An earlier process reported the claim of this node's failure, and of no recovery since (rule 9). Before anything is
    /// reported.
    ///
    /// - Parameter time: when; may be before the clock's beginning.
    package mutating func restore(reportedFailureOf node: String, to claim: Claim, reportedAt time: Duration) {
        concerns[node, default: [:]][claim.uid] = Concern(claim: claim, reported: Reported(time: time, isCertain: true))
        scheduleReview(of: node, at: time)
    }

    /// What to do now: nothing before both watches have delivered their first list.
    ///
    /// - Parameter claim: the claim of this name, when it uses a volume of our driver's.
    package mutating func next(
        at now: Duration,
        claim: (ClaimKey) -> Claim?
    ) -> ReportStep<NodeFailureKey, NodeFailureState, Claim> {
        guard unsynced.isEmpty else { return .wait(until: nil) }
        review(at: now, claim: claim)
        let concerns = concerns
        let step = queue.next(at: now) { key in
            concerns[key.node]?[key.claimUID].flatMap { claim($0.claim.key) }.flatMap {
                $0.uid == key.claimUID ? $0 : nil
            }
        }
        switch step {
        case .report(let pendingReport):
            self.concerns[pendingReport.key.node]?[pendingReport.key.claimUID]?.isUnderWay = true
            return step
        case .wait(let due):
            return .wait(until: [due, reviews.first?.due].compactMap(\.self).min())
        }
    }

    /// How attemptID it went.
    ///
    /// - Returns: whether it is a failure that is worth a warning: the first of its claim, its namespace, or of all.
    @discardableResult
    package mutating func complete(
        _ pendingReport: PendingReport<NodeFailureKey, NodeFailureState, Claim>,
        _ outcome: ReportOutcome,
        at now: Duration
    ) -> Bool {
        let key = pendingReport.key
        let isFirstFailure = queue.complete(pendingReport, outcome, at: now)
        guard var concern = concerns[key.node]?[key.claimUID] else { return isFirstFailure }
        if concern.isPassedOver { scheduleReview(of: key.node, at: now) }
        concern.isUnderWay = false
        concern.isPassedOver = false
        if outcome.isUncertain {
            // Whatever it said, people may know it or not: what holds is reported anew.
            concern.reported = Reported(time: now, isCertain: false)
            concern.news = nil
            queue.remove(key)
            scheduleReview(of: key.node, at: now)
        }
        switch outcome {
        case .reported where pendingReport.state.isClear, .gone:
            concerns[key.node]?[key.claimUID] = nil
            return isFirstFailure
        case .reported:
            concern.reported = Reported(time: now, isCertain: true)
        case .refused, .failed, .unreachable, .unanswered:
            break
        }
        concerns[key.node]?[key.claimUID] = concern
        return isFirstFailure
    }
}
