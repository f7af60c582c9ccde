// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import ControllerCore
import ControllerMonitor
import HealthCore
import HealthRuntime
import KubernetesAPI

/// The core with caches filled by the watches. At first there are a claim with its volume and a pod on a node.
struct WatchedCluster {
    static let driverName = "driver.example"

    private let now = Duration.seconds(1_000_000)
    private var healthState = HealthState()
    private var nodes = NodeFailures(notReadyDuration: .seconds(300))
    private var reported = RecordedHistory(component: EventVocabulary.controllerComponent(driverName: Self.driverName))

    init() {
        let claim = Claim(key: ClaimKey(namespace: "default", name: "data"), uid: "uid", resourceVersion: "1")
        healthState.apply(
            MonitoredVolume(name: "pv", handle: "handle", claim: claim.key, claimUID: claim.uid, isBound: true),
            at: now
        )
        healthState.apply(claim, volumeName: "pv", at: now)
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
                healthState.removeVolume(named: volume.name, at: now)
            } else {
                for secrets in VolumeSecretsKind.allCases {
                    healthState.apply(volume.monitored(secrets: secrets), at: now)
                }
            }
        case let claim as WatchedClaim:
            if isDeleted {
                healthState.removeClaim(claim.claim.key, at: now)
            } else {
                healthState.apply(claim, at: now)
            }
        case let event as Event: reported.add(event, isCached: true)
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

    /// Without a reply of the driver there is no report, except that the status of a claim without a volume is cleared.
    /// A node may have failed; that is reported only on claims with a volume of the driver.
    mutating func requireSilence() throws(InvariantViolation) {
        healthState.restore(reported, at: now)
        let later = now + .seconds(7200)
        if case .run(let pendingReport) = healthState.nextEvent(at: later) {
            throw InvariantViolation(message: "a report without a reply of the driver: \(pendingReport.state)")
        }
        if case .run(let pendingReport) = healthState.nextUnknownEvent(at: later) {
            throw InvariantViolation(message: "a report without a reply of the driver: \(pendingReport.state)")
        }
        while case .run(let pendingReport) = healthState.nextStatus(at: later) {
            try require(pendingReport.state.isClear, "a status without a reply of the driver: \(pendingReport.state)")
            healthState.complete(status: pendingReport, .reported, at: later)
        }
        nodes.endNodeRelist(at: now)
        nodes.endPodRelist(at: now)
        let healthState = healthState
        while case .run(let pendingReport) = nodes.next(at: later, claim: healthState.claim(at:)) {
            try require(
                healthState.claim(at: pendingReport.claim.key) == pendingReport.claim,
                "a node failure is reported on a claim without a volume of the driver"
            )
            nodes.complete(pendingReport, .reported, at: later)
        }
    }
}
