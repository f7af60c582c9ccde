// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthCore

/// The claims that pods use on failed nodes, and what was reported on them.
///
/// A node has failed when it has not been Ready for ``notReadyDuration``, or was deleted while pods still refer to it.
/// A node that pods refer to but that was never seen counts as failed after the same time, because the watch of pods
/// may be ahead of the watch of nodes. The failure is reported on every claim of the monitored driver that pods on the
/// node use, once for as long as the failure lasts. When the node is Ready again, the recovery is reported on every
/// claim on which the failure was reported, even if its pods have moved to another node. Two changes are no recovery
/// and are not reported:
///
/// - when pods leave a node that stays failed, their claims wait for the node to become Ready;
/// - when pods leave a node that was deleted, their claims are forgotten: a new node with the same name is another
///   node.
///
/// The states of one claim on one node. "Failed" means that the node has failed, "used" that pods on it use the claim:
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
/// - From every state: a claim that was deleted, or no longer uses a volume of the monitored driver, is forgotten.
/// - While a report is under way the state does not change; a review that becomes due meanwhile runs after the report
///   has completed.
/// - If the response to a report was lost, the event may or may not have been recorded. A failure that lasts is then
///   reported again; when the node is Ready, the recovery is reported in both cases.
///
/// Pure like ``HealthState``, and independent of it: the caller passes a closure that returns a claim if it uses a
/// volume of the monitored driver. Changes of claims are not signalled, so failed nodes are reviewed every
/// ``reviewInterval``.
package struct NodeFailures: Sendable {
    /// A claim that pods use on a failed node, or on which the node's failure was reported.
    struct AffectedClaim: Sendable {
        var claim: Claim
        /// The last report that was or may have been recorded: of the failure, or of a recovery whose response was
        /// lost. nil: there is none.
        var reported: Reported?
        /// The change that the queue is to report; nil: none.
        var pending: Change?
        /// When the first of the last attempts failed, if it is unknown whether their event was recorded: the queue
        /// forgets these.
        var uncertainSince: Duration?
        /// Whether a report was handed out and has not completed; until then nothing else is decided.
        var isReportUnderWay = false
        /// Whether a review became due while the report was under way.
        var isReviewDeferred = false
    }

    struct Reported: Sendable {
        var time: Duration
        /// False when the response was lost, so that the event may not have been recorded.
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
    /// Nodes that pods refer to but that do not exist, with the time from which they count as failed.
    var missingNodes: [String: Duration] = [:]
    /// By node name and claim uid. ``queue`` has an entry for each with a pending change.
    var affectedClaims: [String: [String: AffectedClaim]] = [:]
    var queue = ReportQueue<NodeFailureKey, NodeFailureState, Claim>(timing: .lastingEvents)
    /// The names of the nodes to review, stale items included.
    var reviews = DueQueue<String>()
    /// The scheduled review of each node; items of ``reviews`` with another ticket are stale.
    var nextReviews: [String: (due: Duration, ticket: DueQueue<String>.Ticket)] = [:]
    /// The watches that have not delivered their first list. Until both have, the absence of a node means nothing.
    var unsynced: Set<Watched> = [.nodes, .pods]

    /// The time from one review of a failed node to the next.
    static let reviewInterval = Duration.seconds(60)

    /// Knows no nodes and no pods yet; nothing is reported before both watches have delivered their first list.
    ///
    /// - Parameter notReadyDuration: how long a node must have been not Ready to count as failed.
    package init(notReadyDuration: Duration) {
        self.notReadyDuration = notReadyDuration
    }

    /// The time from which a node counts as failed, past or future, if nothing changes; nil: it is Ready, has no Ready
    /// condition, or is neither known nor referred to by a pod.
    func failureTime(of node: String) -> Duration? {
        guard let known = nodes[node] else { return missingNodes[node] }
        guard case .notReady(let since) = known.readiness else { return nil }
        return since + notReadyDuration
    }

    /// Schedules an immediate review of a node after it or its pods have changed.
    mutating func nodeChanged(_ node: String, at now: Duration) {
        if needsReview(node) { scheduleReview(of: node, at: now) }
    }

    /// Whether something may have to be reported on claims of the node, now or later.
    private func needsReview(_ node: String) -> Bool {
        affectedClaims[node] != nil || podsByNode[node] != nil && failureTime(of: node) != nil
    }

    /// Schedules a review of a node, unless one is scheduled no later than `due`.
    mutating func scheduleReview(of node: String, at due: Duration) {
        if let scheduled = nextReviews[node], scheduled.due <= due { return }
        nextReviews[node] = (due, reviews.insert(node, due: due))
    }

    /// Reviews every node whose review is due.
    ///
    /// - Parameter claim: returns the claim with this key; nil when it uses no volume of the monitored driver.
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
    /// - Parameter state: the pods that use the claim on the node; none if ``failureTime(of:)`` is nil.
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
        // A failure whose report is uncertain is reported again if it lasts. Its recovery needs the report restored:
        // the queue reports a recovery only after a failure.
        if let reported = affected.reported, change == .recovery || change == .failure && reported.isCertain {
            queue.restore(reported: state.fingerprint, for: key, reportedAt: reported.time)
        }
        switch change {
        case .failure:
            queue.set(state, for: key, at: now)
        case .recovery:
            queue.set(NodeFailureState(node: key.node, pods: []), for: key, at: now)
        case nil:
            affected.uncertainSince = nil
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
