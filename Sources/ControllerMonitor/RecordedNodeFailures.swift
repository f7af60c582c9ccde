// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import ControllerCore
import HealthCore
import KubernetesAPI

/// The node failures and recoveries that earlier processes reported, EHM's included, as far as their events still
/// exist.
struct RecordedNodeFailures: Sendable {
    /// The last event on a claim about a node.
    struct Reported: Sendable {
        /// The claim by the namespace and name in the event, since the API server does not check the uid.
        var claim: ClaimKey
        var isFailure: Bool
        /// `metadata.resourceVersion`: versions are in the order of writes, while the clocks of leaders may differ.
        var version: UInt64
        /// `lastTimestamp`, in seconds since 1970.
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

    /// The failures without a later recovery. A key may occur more than once: the name shows which is about the claim
    /// with the uid.
    var failures: [(key: NodeFailureKey, value: Reported)] {
        last.compactMap { key, reported in reported.isFailure ? (key.failure, reported) : nil }
    }
}
