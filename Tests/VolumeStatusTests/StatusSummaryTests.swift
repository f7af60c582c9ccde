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

    @Test func `healthy claims without a monitor are not called healthy`() throws {
        var scene = Scene()
        scene.claim("a")
        let summary = scene.summary()
        #expect(summary.totals == ["None of 1 claim in namespace default is reported as unhealthy."])
        let warning = try #require(summary.warnings.first)
        #expect(warning.hasPrefix("No monitor of d.example was found (1 claim): the Lease "))
        #expect(warning.contains("external-health-monitor-leader-d-example is not renewed"))
        #expect(warning.contains("Run csi-health-monitor beside the driver's controller"))
        #expect(summary.warnings.count == 1)
    }

    @Test func `one driver without a monitor among others is named alone`() {
        var scene = Scene()
        scene.claim("a")
        scene.claim("b", driver: "e.example")
        scene.lease(driver: "d.example")
        #expect(scene.summary().warnings.map { $0.prefix(27) } == ["No monitor of e.example was"])
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

    @Test func `without the right to read volumes, any Lease or report shows that something monitors`() {
        var scene = Scene()
        scene.claim("a")
        scene.snapshot.volumes = nil
        #expect(scene.summary().warnings.map { $0.prefix(21) } == ["No monitor was found:"])
        scene.lease(driver: "d.example")
        #expect(scene.summary().warnings == [])
        #expect(scene.summary().totals == ["The only claim in namespace default is healthy."])
        scene.snapshot.leases = []
        scene.event("VolumeConditionNormal", on: "a", first: 9000)
        #expect(scene.summary().warnings == [])
    }
}
