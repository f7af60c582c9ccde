// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthMonitor
import KubernetesAPI
import VolumeHealth

/// The core as the watches fill it. One claim with its volume is there from the beginning, and a node with a pod.
struct WatchedCluster {
    static let driverName = "driver.example"

    private let now = Duration.seconds(1_000_000)
    private var reconciler = Reconciler()
    private var nodes = NodeFailures(notReadyDuration: .seconds(300))
    private var told = ToldEvents(component: EventVocabulary.component(driverName: Self.driverName))

    init() {
        let claim = Claim(key: ClaimKey(namespace: "default", name: "data"), uid: "uid", resourceVersion: "1")
        reconciler.apply(
            MonitoredVolume(name: "pv", handle: "handle", claim: claim.key, claimUID: claim.uid, isBound: true),
            at: now
        )
        reconciler.apply(claim, volumeName: "pv", at: now)
        nodes.apply(
            MonitoredPod(
                key: MonitoredPod.Key(namespace: "default", name: "pod"),
                nodeName: "node",
                claimNames: ["data"]
            ),
            at: now
        )
    }

    mutating func apply<O: ListedObject>(_ change: WatchFrames.Change<O>) {
        let isDeleted = change.kind == .deleted
        switch change.object {
        case let volume as WatchedVolume:
            if isDeleted {
                reconciler.removeVolume(named: volume.name, at: now)
            } else {
                for secrets in VolumeSecretsKind.allCases {
                    reconciler.apply(volume.monitored(secrets: secrets), at: now)
                }
            }
        case let claim as WatchedClaim:
            if isDeleted {
                reconciler.removeClaim(claim.claim.key, at: now)
            } else {
                reconciler.apply(claim, at: now)
            }
        case let event as Event: told.add(event)
        case let node as Node:
            if isDeleted {
                nodes.removeNode(named: node.metadata.name, at: now)
            } else {
                nodes.apply(MonitoredNode(listed: node, at: now), at: now)
            }
        case let pod as Pod:
            if isDeleted {
                nodes.removePod(MonitoredPod(pod).key, at: now)
            } else {
                nodes.apply(MonitoredPod(pod), at: now)
            }
        default: break
        }
    }

    /// The driver said nothing: no claim is told anything, but what stands in a status without a volume is cleared. A
    /// node may have failed; who is told of it is ours, and the text fits into an event.
    mutating func requireSilence() throws(InvariantViolation) {
        reconciler.restore(told, at: now)
        let later = now + .seconds(7200)
        if case .tell(let announcement) = reconciler.nextEvent(at: later) {
            throw InvariantViolation(message: "told without the driver's word: \(announcement.state)")
        }
        if case .tell(let announcement) = reconciler.nextUnknownEvent(at: later) {
            throw InvariantViolation(message: "told without the driver's word: \(announcement.state)")
        }
        while case .tell(let announcement) = reconciler.nextStatus(at: later) {
            try require(announcement.state.isClear, "written without the driver's word: \(announcement.state)")
            reconciler.settle(status: announcement, .told, at: later)
        }
        nodes.endNodeRelist(at: now)
        nodes.endPodRelist(at: now)
        let reconciler = reconciler
        while case .tell(let announcement) = nodes.next(at: later, claim: reconciler.claim(at:)) {
            try require(
                reconciler.claim(at: announcement.claim.key) == announcement.claim,
                "told of a node without a volume of ours"
            )
            nodes.settle(announcement, .told, at: later)
        }
    }
}
