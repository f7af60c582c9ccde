// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import ControllerCore
import HealthCore
import KubernetesAPI

/// The words for nodes, as EHM coined them too.
extension EventVocabulary {
    /// Warning: the node on which pods use the claim has failed.
    static let nodeFailedReason = "NodeFailed"
    /// Normal: it has recovered.
    static let nodeRecoveredReason = "NodeRecovered"

    /// The message of ``nodeFailedReason``. However many pods there are, it fits into an event with the node's name.
    static func nodeFailedMessage(_ state: NodeFailureState, claim: ClaimKey) -> String {
        let end =
            "] consuming PVC: \(claim.name) in namespace: \(claim.namespace) are now on a failed node: \(state.node)"
        var message = failedPodsPrefix
        var rest = state.pods[...]
        let limit = messageLimit - end.utf8.count - "and 1000000 more ".utf8.count
        while let pod = rest.first, message.utf8.count + pod.utf8.count < limit {
            message += pod + " "
            rest.removeFirst()
        }
        if !rest.isEmpty { message += "and \(rest.count) more " }
        return message + end
    }

    /// The message of ``nodeRecoveredReason``.
    static func nodeRecoveredMessage(node: String) -> String {
        "Node: \(node) recovered"
    }

    /// The node that a message of ``nodeFailedReason`` is about.
    static func node(inFailedMessage message: String) -> String? {
        // A name has no spaces.
        message.hasPrefix(failedPodsPrefix) ? message.split(separator: " ").last.map(String.init) : nil
    }

    /// The node that a message of ``nodeRecoveredReason`` is about.
    static func node(inRecoveredMessage message: String) -> String? {
        let words = message.split(separator: " ")
        guard words.count == 3, words[0] == "Node:", words[2] == "recovered" else { return nil }
        return String(words[1])
    }

    private static let failedPodsPrefix = "Pods: [ "
    /// The API server's, in bytes.
    private static let messageLimit = 1024
}

/// What earlier processes reported of nodes, EHM's among them, as far as their events are still there.
struct RecordedNodeFailures: Sendable {
    /// The last event on a claim and a node.
    struct Reported: Sendable {
        /// Where the event is, whose uid the API server does not check.
        var claim: ClaimKey
        var isFailure: Bool
        /// Versions are in the order of the writes; leaders' clocks may differ.
        var version: UInt64
        /// Seconds since 1970.
        var time: Int64
    }

    private struct Key: Hashable {
        var failure: NodeFailureKey
        var claim: ClaimKey
    }

    private var last: [Key: Reported] = [:]

    mutating func add(_ event: Event) {
        let isFailure = event.reason == EventVocabulary.nodeFailedReason
        let node =
            isFailure
            ? EventVocabulary.node(inFailedMessage: event.message)
            : EventVocabulary.node(inRecoveredMessage: event.message)
        guard let node else { return }
        let claim = ClaimKey(namespace: event.involvedObject.namespace, name: event.involvedObject.name)
        let key = Key(failure: NodeFailureKey(node: node, claimUID: event.involvedObject.uid), claim: claim)
        let reported = Reported(
            claim: claim,
            isFailure: isFailure,
            version: UInt64(event.metadata.resourceVersion) ?? 0,
            time: event.lastTimestamp.seconds
        )
        if let other = last[key], (other.version, other.time) > (reported.version, reported.time) { return }
        last[key] = reported
    }

    /// Failures without a recovery after them. There may be several of one key: which of them is about the claim that
    /// has the uid, its name says.
    var failures: [(key: NodeFailureKey, value: Reported)] {
        last.compactMap { key, reported in reported.isFailure ? (key.failure, reported) : nil }
    }
}
