// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import ControllerCore
import HealthCore
import KubernetesAPI

/// The node failures and recoveries that earlier processes reported, EHM's included, as far as their events still
/// exist.
struct RecordedNodeFailures: Sendable {
    /// The last event on a claim about a node.
    private struct Reported {
        var isFailure: Bool
        /// `metadata.resourceVersion`: versions are in the order of writes, while the clocks of leaders may differ.
        var version: UInt64
        /// `lastTimestamp`, in seconds since 1970.
        var time: Int64
    }

    /// Of how many nodes the events on one claim are kept: anyone who may create events can make up nodes.
    static let maximumNodes = 256
    /// The API server's limit of a node's name.
    private static let maximumNameBytes = 253

    private var claims = RecordedClaims()
    private var last: [ClaimIdentity: [String: Reported]] = [:]

    /// Adds an event of this component on a PersistentVolumeClaim.
    ///
    /// - Parameter isCached: as for ``RecordedHistory/add(_:isCached:)``.
    mutating func add(_ event: Event, isCached: Bool) {
        let isFailure = event.reason == EventVocabulary.nodeFailedReason
        let node =
            isFailure
            ? EventVocabulary.node(inFailedMessage: event.message)
            : EventVocabulary.node(inRecoveredMessage: event.message)
        let claim = ClaimIdentity(event)
        guard let node, node.utf8.count <= Self.maximumNameBytes, claims.keep(claim, isCached: isCached) else { return }
        let reported = Reported(
            isFailure: isFailure,
            version: UInt64(event.metadata.resourceVersion) ?? 0,
            time: event.lastTimestamp.seconds
        )
        if let other = last[claim]?[node] {
            if (other.version, other.time) > (reported.version, reported.time) { return }
        } else if last[claim]?.count == Self.maximumNodes {
            return
        }
        last[claim, default: [:]][node] = reported
    }

    /// The failures without a later recovery; `time` in seconds since 1970.
    var failures: [(node: String, claim: ClaimIdentity, time: Int64)] {
        last.flatMap { claim, nodes in
            nodes.compactMap { node, reported in reported.isFailure ? (node, claim, reported.time) : nil }
        }
    }
}
