// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthCore

/// The claims that pods use on failed nodes, and what was reported on them.
///
/// A node has failed when it has not been Ready for ``notReadyDuration``, or was deleted while pods still name it. A
/// node that pods name and that was never seen fails after the same time, because the watch of pods may be ahead of
/// that of nodes. The failure is reported on every claim of the monitored driver that pods on the node use, once for as
/// long as the failure lasts. When the node is Ready again, the recovery is reported on every claim on which the
/// failure was reported, wherever the pods are by then. What is no recovery is not reported:
///
/// - when pods leave a node that stays failed, their claims wait for the node to become Ready;
/// - when pods leave a node that was deleted, their claims are forgotten: a new node with the same name is another
///   node.
///
/// The states of one claim on one node. "Failed" stands for the node, "used" for pods on it that use the claim:
///
/// ```
///                  failed and used                     complete(.reported)
/// (no entry) ───────────────────────▶ failure pending ─────────────────────▶ failure reported ◀─┐ failed and used:
///      ▲                                     │                                   │    │   └────┘ refresh
///      ├── not failed, or not used ──────────┘                                   │    │
///      ├── node deleted and not used ────────────────────────────────────────────┘    │ Ready
///      │                                                                              ▼
///      └── complete(.reported) ──────────────────────────────────────────────── recovery pending
/// ```
///
/// - A node that fails again before its recovery was reported: back to "failure reported".
/// - From every state: a claim that is gone, or that uses no volume of the monitored driver any more, is forgotten.
/// - While a report is under way nothing is decided; a review that becomes due meanwhile follows its outcome.
/// - An outcome that is uncertain, because the response was lost, leads back to a pending report: a failure that lasts
///   is reported again, and a recovery is reported in any case.
///
/// Pure like ``HealthState``, and independent of it: a closure returns a claim if it uses a volume of the monitored
/// driver. Changes of claims are not signalled, so failed nodes are reviewed every ``reviewInterval``.
package struct NodeFailures: Sendable {
    /// A claim that pods use on a failed node, or on which the node's failure was reported.
    struct AffectedClaim: Sendable {
        var claim: Claim
        /// The report of the failure; nil: there is none, or the recovery was reported after it.
        var reported: Reported?
        /// What the queue holds to be reported; nil: nothing.
        var pending: Change?
        /// While a report is under way nothing is decided: its outcome counts.
        var isReportUnderWay = false
        /// A review became due while the report was under way.
        var isReviewDeferred = false
    }

    struct Reported: Sendable {
        var time: Duration
        /// False when the response was lost.
        var isCertain: Bool
    }

    enum Change: Sendable {
        case failure
        case recovery
    }

    enum Watched: Sendable {
        case nodes
        case pods
    }

    /// How long a node must have been not Ready to count as failed.
    let notReadyDuration: Duration
    var nodes = Store<String, MonitoredNode>()
    var pods = Store<MonitoredPod.Key, MonitoredPod>()
    var podsByNode: [String: Set<MonitoredPod.Key>] = [:]
    /// Nodes that pods name and that do not exist, with the time from which on they count as failed.
    var missingNodes: [String: Duration] = [:]
    /// By node and claim uid. The queue has entries for those with a pending change.
    var affectedClaims: [String: [String: AffectedClaim]] = [:]
    var queue = ReportQueue<NodeFailureKey, NodeFailureState, Claim>(timing: .lastingEvents)
    /// The nodes to review.
    var reviews = DueQueue<String>()
    /// The current review of each node; other items in the queue are stale.
    var nextReviews: [String: (due: Duration, ticket: DueQueue<String>.Ticket)] = [:]
    /// The watches without a complete list. Until both have one, the absence of a node means nothing.
    var unsynced: Set<Watched> = [.nodes, .pods]

    /// The time from one review of a failed node to the next.
    static let reviewInterval = Duration.seconds(60)

    ///
    /// - Parameter notReadyDuration: how long a node must have been not Ready to count as failed.
    package init(notReadyDuration: Duration) {
        self.notReadyDuration = notReadyDuration
    }

    /// When a node fails, or has failed, if nothing changes; nil: it does not fail.
    func failureTime(of node: String) -> Duration? {
        guard let known = nodes[node] else { return missingNodes[node] }
        guard case .notReady(let since) = known.readiness else { return nil }
        return since + notReadyDuration
    }

    /// The node or its pods have changed.
    mutating func nodeChanged(_ node: String, at now: Duration) {
        if needsReview(node) { scheduleReview(of: node, at: now) }
    }

    /// Whether something on the node may have to be reported, now or later.
    private func needsReview(_ node: String) -> Bool {
        affectedClaims[node] != nil || podsByNode[node] != nil && failureTime(of: node) != nil
    }

    mutating func scheduleReview(of node: String, at due: Duration) {
        if let scheduled = nextReviews[node], scheduled.due <= due { return }
        nextReviews[node] = (due, reviews.insert(node, due: due))
    }

    /// Reviews every node whose review is due.
    mutating func review(at now: Duration, claim: (ClaimKey) -> Claim?) {
        while let item = reviews.removeFirst(dueBy: now) {
            guard nextReviews[item.element]?.ticket == item.ticket else { continue }
            nextReviews[item.element] = nil
            review(item.element, at: now, claim: claim)
        }
    }

    private mutating func review(_ node: String, at now: Duration, claim: (ClaimKey) -> Claim?) {
        let failureTime = failureTime(of: node)
        let isFailed = failureTime.map { $0 <= now } ?? false
        let users = failureTime == nil ? [:] : users(of: node, claim: claim)
        if isFailed {
            for (uid, user) in users where affectedClaims[node]?[uid] == nil {
                affectedClaims[node, default: [:]][uid] = AffectedClaim(claim: user.claim)
            }
        }
        for (uid, affected) in (affectedClaims[node] ?? [:]).sorted(by: { $0.key < $1.key }) {
            if affected.isReportUnderWay {
                affectedClaims[node]?[uid]?.isReviewDeferred = true
                continue
            }
            let key = NodeFailureKey(node: node, claimUID: uid)
            let state = NodeFailureState(node: node, pods: users[uid]?.pods.sorted() ?? [])
            let reviewed = review(affected, key, state, isFailed: isFailed, at: now, claim: claim)
            affectedClaims[node]?[uid] = reviewed
        }
        if affectedClaims[node]?.isEmpty == true { affectedClaims[node] = nil }

        guard needsReview(node) else { return }
        var due = now + Self.reviewInterval
        if let failureTime, failureTime > now { due = min(due, failureTime) }
        scheduleReview(of: node, at: due)
    }

    /// Decides what to report on a claim. Returns nil when the claim is to be forgotten.
    ///
    /// - Parameter state: the pods that use the claim on the node, if the node has failed or may fail.
    private mutating func review(
        _ affected: AffectedClaim,
        _ key: NodeFailureKey,
        _ state: NodeFailureState,
        isFailed: Bool,
        at now: Duration,
        claim: (ClaimKey) -> Claim?
    ) -> AffectedClaim? {
        guard let latest = claim(affected.claim.key), latest.uid == key.claimUID else {
            queue.remove(key)
            return nil
        }
        let node = nodes[key.node]
        let change: Change? =
            if isFailed, !state.isClear {
                .failure
            } else if node?.readiness == .ready, affected.reported != nil {
                .recovery
            } else {
                nil
            }
        var affected = affected
        affected.claim = latest
        if affected.pending != change {
            affected.pending = change
            queue.remove(key)
        }
        // A failure whose report is uncertain is reported again if it lasts; its recovery is reported in any case.
        if let reported = affected.reported, change == .recovery || change == .failure && reported.isCertain {
            queue.restore(reported: state.fingerprint, for: key, reportedAt: reported.time)
        }
        switch change {
        case .failure:
            queue.set(state, for: key, at: now)
        case .recovery:
            queue.set(NodeFailureState(node: key.node, pods: []), for: key, at: now)
        case nil:
            let isOver = node == nil && state.isClear
            if affected.reported == nil || isOver { return nil }
        }
        return affected
    }

    /// The claims of the monitored driver that pods on a node use, by uid.
    private func users(
        of node: String,
        claim: (ClaimKey) -> Claim?
    ) -> [String: (claim: Claim, pods: [String])] {
        var users: [String: (claim: Claim, pods: [String])] = [:]
        for pod in (podsByNode[node] ?? []).compactMap({ pods[$0] }) {
            for name in pod.claimNames {
                guard let claim = claim(ClaimKey(namespace: pod.key.namespace, name: name)) else { continue }
                users[claim.uid, default: (claim, [])].pods.append(pod.key.name)
            }
        }
        return users
    }
}
