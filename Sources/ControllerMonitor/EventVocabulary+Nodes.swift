// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import ControllerCore
import HealthCore

/// The reasons and messages of events on nodes' failures, the same as EHM's byte for byte.
extension EventVocabulary {
    /// Warning: the node on which pods use the claim has failed.
    static let nodeFailedReason = "NodeFailed"
    /// Normal: the node has recovered.
    static let nodeRecoveredReason = "NodeRecovered"

    /// The message of ``nodeFailedReason``. It names as many pods as fit into an event, and always the node.
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
        // The name of a node contains no spaces.
        message.hasPrefix(failedPodsPrefix) ? message.split(separator: " ").last.map(String.init) : nil
    }

    /// The node that a message of ``nodeRecoveredReason`` is about.
    static func node(inRecoveredMessage message: String) -> String? {
        let words = message.split(separator: " ")
        guard words.count == 3, words[0] == "Node:", words[2] == "recovered" else { return nil }
        return String(words[1])
    }

    private static let failedPodsPrefix = "Pods: [ "
    /// The API server's limit, in bytes.
    private static let messageLimit = 1024
}
