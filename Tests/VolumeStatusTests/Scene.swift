// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthCore
import KubernetesAPI
import VolumeStatus

/// Builds the objects of a snapshot. The claims are in the namespace default, and the clock shows 10,000.
struct Scene {
    static let now: Int64 = 10_000
    var snapshot = ClusterSnapshot()

    /// A claim with a volume of a driver; without a volume if the driver is nil.
    mutating func claim(
        _ name: String,
        driver: String? = "d.example",
        _ change: (inout ListedClaim) -> Void = { _ in }
    ) {
        var claim = ListedClaim()
        claim.name = ObjectName("default", name)
        claim.uid = "uid-\(name)"
        claim.phase = driver == nil ? "Pending" : "Bound"
        claim.created = 100
        if let driver {
            claim.volumeName = "pv-\(name)"
            var volume = ListedVolume()
            volume.name = claim.volumeName
            volume.driver = driver
            volume.handle = "handle-\(name)"
            snapshot.volumes?[volume.name] = volume
        }
        change(&claim)
        snapshot.claims[claim.name] = claim
    }

    mutating func pod(
        _ name: String,
        claims: [String],
        node: String = "node-1",
        _ change: (inout ListedPod) -> Void = { _ in }
    ) {
        var pod = ListedPod()
        pod.name = ObjectName("default", name)
        pod.uid = "uid-\(name)"
        pod.created = 200
        pod.nodeName = node
        pod.phase = "Running"
        for (number, claim) in claims.enumerated() { pod.claims["data-\(number)"] = claim }
        change(&pod)
        snapshot.pods?[pod.name] = pod
    }

    /// An event of the controller on a claim, or of an agent on a pod. A later call has a later resource version.
    mutating func event(
        _ reason: String,
        on object: String,
        kind: String = "PersistentVolumeClaim",
        message: String = "",
        component: String = "csi-pv-monitor-controller-d.example",
        first: Int64,
        last: Int64? = nil,
        _ change: (inout ListedEvent) -> Void = { _ in }
    ) {
        var event = ListedEvent()
        let number = snapshot.events?.count ?? 0
        event.name = ObjectName("default", "event-\(number)")
        event.resourceVersion = String(1000 + number)
        event.kind = kind
        event.object = object
        event.objectUID = "uid-\(object)"
        event.reason = reason
        event.message = message
        event.component = component
        event.first = first
        event.last = last ?? first
        change(&event)
        snapshot.events?[event.name] = event
    }

    /// The Lease of a driver's controllers, instead of an earlier one of the same name.
    mutating func lease(driver: String, renewed: Int64 = Scene.now - 5, holder: String = "pod-0") {
        snapshot.leases?.removeAll { $0.metadata.name == Self.leaseName(driver) }
        var lease = Lease()
        lease.metadata.namespace = "storage"
        lease.metadata.name = Self.leaseName(driver)
        lease.spec.holderIdentity = holder
        lease.spec.renewTime.seconds = renewed
        lease.spec.leaseDurationSeconds = 15
        snapshot.leases?.append(lease)
    }

    static func leaseName(_ driver: String) -> String {
        "external-health-monitor-leader-" + driver.replacing(".", with: "-")
    }

    func report(driver: String? = nil) -> StatusReport {
        StatusReport(snapshot, driver: driver, leaseName: Self.leaseName, now: Self.now)
    }

    func summary(driver: String? = nil, namespace: String? = "default") -> StatusSummary {
        StatusSummary(report(driver: driver), snapshot, namespace: namespace, leaseName: Self.leaseName)
    }

    /// The row of a claim.
    func row(_ claim: String) -> VolumeHealthRow? {
        report().rows.first { $0.claim.name == claim }
    }
}

func condition(
    _ status: HealthCore.VolumeHealthCondition.Status,
    _ reason: String,
    _ message: String = ""
) -> HealthCore.VolumeHealthCondition {
    .init(status: status, reason: reason, message: message)
}
