// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthCore

/// Which claims are used on a node that has failed, and what they were reported of it.
///
/// A node has failed when it was not Ready for a while, or was deleted while pods still name it. A node that pods name
/// and that was never seen gets the same while: the watch of pods may be ahead of that of nodes. Then every claim of our
/// driver that pods on it use is reported, once for as long as the failure lasts; when the node is Ready again, everybody
/// who was reported of the failure is reported that, wherever the pods are by then. Nobody is reported of a recovery that is none:
///
/// - pods that leave a node that stays failed end nothing: who was reported waits for the node;
/// - pods that leave a node that was deleted end it: the node does not come back, and one that is made anew under the
///   same name is another one. Who was reported is forgotten.
///
/// Pure, as the ``HealthState`` is, and standing beside it: whether a claim is one of our driver's is asked of a closure,
/// whenever it matters. Claims change without a word here, so nodes that have failed are looked at again every minute.
package struct NodeFailures: Sendable {
    /// A claim that a node's failure concerns.
    struct Concern: Sendable {
        var claim: Claim
        /// What it knows of the failure; nil: nothing, or that it has passed.
        var reported: Reported?
        /// What the queue has to report it; nil: nothing for now.
        var news: News?
        /// While an pendingReport to it is under way nothing is decided: its outcome counts.
        var isUnderWay = false
        /// The node was looked at meanwhile.
        var isPassedOver = false
    }

    struct Reported: Sendable {
        var time: Duration
        /// False when the answer was lost.
        var isCertain: Bool
    }

    enum News: Sendable {
        case failure
        case recovery
    }

    enum Watched: Sendable {
        case nodes
        case pods
    }

    /// How long a node must not be Ready to count as failed.
    let notReadyDuration: Duration
    var nodes = Store<String, MonitoredNode>()
    var pods = Store<MonitoredPod.Key, MonitoredPod>()
    var podsByNode: [String: Set<MonitoredPod.Key>] = [:]
    /// Of nodes that pods name and that are not there: from when on they count as failed.
    var absences: [String: Duration] = [:]
    /// By node and claim uid. The queue has entries for those with news.
    var concerns: [String: [String: Concern]] = [:]
    var queue = ReportQueue<NodeFailureKey, NodeFailureState, Claim>(timing: .lastingEvents)
    /// Nodes to be looked at.
    var reviews = DueQueue<String>()
    /// The review of a node that counts; others in the queue are stale.
    var nextReviews: [String: (due: Duration, ticket: DueQueue<String>.Ticket)] = [:]
    /// Watches without a complete list: until there is one, a node that is missing says nothing.
    var unsynced: Set<Watched> = [.nodes, .pods]

    /// How soon a node that has failed is looked at again.
    static let reviewInterval = Duration.seconds(60)

    /// Knows nothing yet.
    ///
    /// - Parameter notReadyDuration: how long a node must not be Ready to count as failed.
    package init(notReadyDuration: Duration) {
        self.notReadyDuration = notReadyDuration
    }

    /// From when on a node counts as failed, when nothing changes; nil: it does not.
    func failureTime(of node: String) -> Duration? {
        guard let known = nodes[node] else { return absences[node] }
        guard case .notReady(let since) = known.readiness else { return nil }
        return since + notReadyDuration
    }

    /// Something that may matter has changed on a node.
    mutating func reconsider(_ node: String, at now: Duration) {
        if matters(node) { scheduleReview(of: node, at: now) }
    }

    /// Whether a claim may have to be reported of the node, now or later.
    private func matters(_ node: String) -> Bool {
        concerns[node] != nil || podsByNode[node] != nil && failureTime(of: node) != nil
    }

    mutating func scheduleReview(of node: String, at due: Duration) {
        if let scheduled = nextReviews[node], scheduled.due <= due { return }
        nextReviews[node] = (due, reviews.insert(node, due: due))
    }

    /// Looks at every node whose review is due.
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
            for (uid, user) in users where concerns[node]?[uid] == nil {
                concerns[node, default: [:]][uid] = Concern(claim: user.claim)
            }
        }
        for (uid, concern) in (concerns[node] ?? [:]).sorted(by: { $0.key < $1.key }) {
            if concern.isUnderWay {
                concerns[node]?[uid]?.isPassedOver = true
                continue
            }
            let key = NodeFailureKey(node: node, claimUID: uid)
            let state = NodeFailureState(node: node, pods: users[uid]?.pods.sorted() ?? [])
            let reviewed = review(concern, key, state, isFailed: isFailed, at: now, claim: claim)
            concerns[node]?[uid] = reviewed
        }
        if concerns[node]?.isEmpty == true { concerns[node] = nil }

        guard matters(node) else { return }
        var due = now + Self.reviewInterval
        if let failureTime, failureTime > now { due = min(due, failureTime) }
        scheduleReview(of: node, at: due)
    }

    /// Decides what a claim is to be reported. Returns nil when it is to be forgotten.
    ///
    /// - Parameter state: names the pods that use the claim, of a node that is not well.
    private mutating func review(
        _ concern: Concern,
        _ key: NodeFailureKey,
        _ state: NodeFailureState,
        isFailed: Bool,
        at now: Duration,
        claim: (ClaimKey) -> Claim?
    ) -> Concern? {
        guard let latest = claim(concern.claim.key), latest.uid == key.claimUID else {
            queue.remove(key)
            return nil
        }
        let node = nodes[key.node]
        let news: News? =
            if isFailed, !state.isClear {
                .failure
            } else if node?.readiness == .ready, concern.reported != nil {
                .recovery
            } else {
                nil
            }
        var concern = concern
        concern.claim = latest
        if concern.news != news {
            concern.news = news
            queue.remove(key)
        }
        // A failure that may have been reported is reported again when it lasts, and its end is reported in any case.
        if let reported = concern.reported, news == .recovery || news == .failure && reported.isCertain {
            queue.restore(reported: state.fingerprint, for: key, reportedAt: reported.time)
        }
        switch news {
        case .failure:
            queue.set(state, for: key, at: now)
        case .recovery:
            queue.set(NodeFailureState(node: key.node, pods: []), for: key, at: now)
        case nil:
            let isOver = node == nil && state.isClear
            if concern.reported == nil || isOver { return nil }
        }
        return concern
    }

    /// The claims of our driver that pods on a node use, by uid.
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
