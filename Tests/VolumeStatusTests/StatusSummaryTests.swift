// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthCore
import KubernetesAPI
import Testing

@testable import VolumeStatus

@Suite struct StatusSummaryTests {
    @Test func `healthy claims that are monitored are healthy`() {
        var scene = Scene()
        for name in ["a", "b"] { scene.claim(name) }
        scene.lease(driver: "d.example")
        #expect(scene.summary().totals == ["All 2 claims in namespace default are healthy."])
        #expect(scene.summary(namespace: nil).totals == ["All 2 claims are healthy."])
        #expect(scene.summary().warnings == [])
        #expect(scene.summary().notes == [])
    }

    /// Until the hold has passed, no claim has an event.
    @Test func `claims of a driver that does not find its volumes are not called healthy`() {
        var scene = Scene()
        scene.claim("a")
        scene.lease(driver: "d.example")
        func event(_ reason: String, driver: String = "d.example", at time: Int64) -> ListedEvent {
            var event = ListedEvent()
            event.name = ObjectName("default", "\(reason)-\(driver)")
            event.resourceVersion = "\(time)"
            (event.kind, event.object, event.reason) = ("CSIDriver", driver, reason)
            event.component = "csi-pv-monitor-controller-\(driver)"
            event.message = "The CSI driver does not find 9 of 9 volumes"
            (event.first, event.last) = (time, time)
            return event
        }
        scene.snapshot.driverEvents = [
            event("VolumesVanished", at: 9000), event("VolumesFound", at: 8000),
            event("VolumesVanished", driver: "e.example", at: 9000),
        ]
        #expect(scene.summary().totals == ["None of 1 claim in namespace default is reported as unhealthy."])
        #expect(scene.summary().warnings == ["d.example: The CSI driver does not find 9 of 9 volumes"])
        // The volumes may have been found before another leader began.
        scene.snapshot.leases?[0].spec.acquireTime.seconds = 9400
        #expect(scene.summary().warnings == [])
        #expect(scene.summary().totals == ["None of 1 claim in namespace default is reported as unhealthy."])
        scene.snapshot.leases?[0].spec.acquireTime.seconds = 8500
        #expect(scene.summary().warnings.count == 1)
        scene.snapshot.driverEvents?[1] = event("VolumesFound", at: 9500)
        #expect(scene.summary().totals == ["The only claim in namespace default is healthy."])
        #expect(scene.summary().warnings == [])
    }

    /// Such a condition never counts as healthy (rule 6).
    @Test func `a claim with a condition of an unknown type is not called healthy`() {
        var scene = Scene()
        for claim in ["a", "b"] { scene.claim(claim) }
        scene.lease(driver: "d.example")
        scene.event("UnknownVolumeHealthCondition", on: "a", first: 9000)
        #expect(scene.summary().totals == ["None of 2 claims in namespace default is reported as unhealthy."])
        #expect(scene.summary().warnings.count == 1)
        #expect(scene.summary().warnings.first?.hasPrefix("1 claim has a condition of a type that") == true)
        let command = "kubectl get events -n default --field-selector reason=UnknownVolumeHealthCondition"
        #expect(scene.summary().warnings.first?.hasSuffix(command) == true)
        #expect(scene.summary(namespace: nil).warnings.first?.contains(" events -A ") == true)
    }

    @Test func `a claim whose status has a condition of an unknown status is not called healthy`() {
        var scene = Scene()
        scene.claim("a") { $0.hasUnknownCondition = true }
        scene.lease(driver: "d.example")
        #expect(scene.summary().totals == ["None of 1 claim in namespace default is reported as unhealthy."])
    }

    /// Only they show what the kubelet and the agent report.
    @Test func `without the right to list pods, claims are not called healthy`() {
        var scene = Scene()
        scene.claim("a")
        scene.lease(driver: "d.example")
        #expect(scene.summary().totals == ["The only claim in namespace default is healthy."])
        scene.snapshot.pods = nil
        #expect(scene.summary().totals == ["None of 1 claim in namespace default is reported as unhealthy."])
    }

    @Test func `healthy claims without a monitor are not called healthy`() throws {
        var scene = Scene()
        scene.claim("a")
        let summary = scene.summary()
        #expect(summary.totals == ["None of 1 claim in namespace default is reported as unhealthy."])
        let warning = try #require(summary.warnings.first)
        #expect(
            warning == """
                No controller of d.example was found (1 claim): there is no Lease \
                external-health-monitor-leader-d-example, and no event of the last 40 minutes is of a controller or an \
                agent. Run csi-health-monitor beside the driver's controller. If it runs, check its log and run \
                csi-health-monitor doctor in its container: without --leader-election and while all volumes are healthy, \
                it leaves no trace in the cluster. An agent on the nodes leaves no trace while its volumes are healthy: \
                kubectl get daemonset -A -l app.kubernetes.io/name=csi-health-monitor-agent
                """
        )
        #expect(summary.warnings.count == 1)
    }

    @Test(arguments: [false, true])
    func `a Lease that is no longer renewed is a warning, whatever was reported`(isUnhealthy: Bool) throws {
        var scene = Scene()
        scene.claim("a") { claim in
            claim.healthConditions = isUnhealthy ? [condition(.degraded, "SlowIO")] : []
            claim.condition = HealthyCondition(
                type: ListedClaim.conditionType,
                status: isUnhealthy ? "False" : "True",
                reason: "",
                message: "",
                transition: 9000
            )
        }
        scene.event("VolumeConditionNormal", on: "a", first: Scene.now - 600)
        scene.lease(driver: "d.example", renewed: Scene.now - 420)
        let summary = scene.summary()
        #expect(
            summary.totals.first
                == (isUnhealthy
                    ? "1 of 1 claim in namespace default unhealthy."
                    : "None of 1 claim in namespace default is reported as unhealthy.")
        )
        let warning = try #require(summary.warnings.first)
        #expect(
            warning.hasPrefix(
                """
                No controller of d.example is running (1 claim): the Lease external-health-monitor-leader-d-example \
                was last renewed 7m ago. Start it, or check its log and run csi-health-monitor doctor in its container; \
                if it now runs without --leader-election, delete the Lease.
                """
            )
        )
        #expect(warning.hasSuffix("kubectl get daemonset -A -l app.kubernetes.io/name=csi-health-monitor-agent"))
        #expect(summary.warnings.count == 1)
        scene.lease(driver: "d.example", renewed: 0)
        #expect(scene.summary().warnings.first?.contains("-d-example was never renewed. ") == true)
    }

    @Test func `without the right to list events, claims are not called healthy`() {
        var scene = Scene()
        scene.claim("a")
        scene.snapshot.events = nil
        #expect(scene.summary().warnings.first?.contains(", and events may not be listed. Run ") == true)
        scene.lease(driver: "d.example")
        #expect(scene.summary().totals == ["None of 1 claim in namespace default is reported as unhealthy."])
        #expect(scene.summary().warnings == [])
        #expect(
            scene.summary().notes.map { $0.prefix(57) } == [
                "Conditions that only events report are not shown: list ev"
            ]
        )
    }

    @Test func `one driver without a monitor among others is named alone`() {
        var scene = Scene()
        scene.claim("a")
        scene.claim("b", driver: "e.example")
        scene.lease(driver: "d.example")
        #expect(scene.summary().warnings.map { $0.prefix(27) } == ["No controller of e.example "])
    }

    @Test func `some unhealthy claims of a driver and the whole driver are distinguished`() {
        var scene = Scene()
        let conditions = [condition(.dataLoss, "A"), condition(.degraded, "B")]
        scene.claim("a") { $0.healthConditions = conditions }
        scene.claim("b")
        for name in ["c", "d"] { scene.claim(name, driver: "e.example") { $0.healthConditions = [conditions[1]] } }
        #expect(
            scene.summary(namespace: nil).totals == [
                "3 of 4 claims unhealthy.",
                "d.example: 1 of 2 claims unhealthy (1 DataLoss)",
                "e.example: all 2 of 2 claims unhealthy (2 Degraded): check the storage system and the driver first",
            ]
        )
    }

    @Test func `claims of unknown health and without a CSI volume are counted on their own`() {
        var scene = Scene()
        scene.claim("a")
        scene.event("VolumeHealthUnknown", on: "a", first: 9000)
        scene.claim("pending", driver: nil)
        #expect(
            scene.summary(namespace: nil).totals == [
                "0 of 1 claim unhealthy, the health of 1 is unknown.", "1 more without a CSI volume.",
            ]
        )
        #expect(Scene().summary().totals == ["No claims with CSI volumes found in namespace default."])
    }

    @Test func `each right that is missing is named with its rule`() {
        var scene = Scene()
        scene.claim("a")
        scene.snapshot.volumes = nil
        scene.snapshot.pods = nil
        scene.snapshot.events = nil
        scene.snapshot.leases = nil
        let summary = scene.summary()
        #expect(summary.totals == ["None of 1 claim in namespace default is reported as unhealthy."])
        #expect(summary.warnings == [])
        let rules = ["events", "persistentvolumes", "pods", "leases"]
        #expect(summary.notes.count == rules.count)
        for (note, resource) in zip(summary.notes, rules) {
            #expect(note.contains("is forbidden; the RBAC rule for it is {apiGroups: ["), "\(note)")
            #expect(note.contains("resources: [\"\(resource)\"], verbs: [\"list\"]}"), "\(note)")
        }
    }

    @Test func `without the right to read volumes, the Lease or an event of one driver does not vouch for others`() {
        var scene = Scene()
        for name in ["a", "b"] { scene.claim(name) }
        scene.snapshot.volumes = nil
        let none = ["None of 2 claims in namespace default is reported as unhealthy."]
        #expect(scene.summary().warnings.map { $0.prefix(24) } == ["No controller was found:"])
        #expect(scene.summary().totals == none)
        scene.lease(driver: "d.example")
        #expect(scene.summary().warnings == [])
        #expect(scene.summary().totals == none)
        scene.event("VolumeConditionNormal", on: "a", first: 9000)
        #expect(scene.summary().totals == none)
        scene.event("VolumeConditionNormal", on: "b", first: 100)
        #expect(scene.summary().totals == ["All 2 claims in namespace default are healthy."])
        scene.snapshot.leases = []
        #expect(scene.summary().warnings == [])
        #expect(scene.summary().totals == ["All 2 claims in namespace default are healthy."])
    }

    @Test func `claims of an unknown driver among those of a requested driver are noted`() {
        var scene = Scene()
        for name in ["a", "b", "c"] { scene.claim(name) }
        scene.event("VolumeConditionNormal", on: "a", first: 9000)
        scene.snapshot.volumes = nil
        #expect(
            scene.summary(driver: "d.example").notes.last == "2 claims of an unknown driver may not be of d.example"
        )
        #expect(scene.summary().notes.count == 1)
    }
}
