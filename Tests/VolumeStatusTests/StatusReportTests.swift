// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthCore
import HealthMonitorTestKit
import KubernetesAPI
import Testing

@testable import VolumeStatus

@Suite struct StatusReportTests {
    // MARK: Sources

    @Test func `the status of the claim comes first, its worst condition leads`() throws {
        var scene = Scene()
        scene.claim("a") { claim in
            claim.healthConditions = [condition(.degraded, "SlowIO"), condition(.dataLoss, "BadBlocks", "7 blocks")]
            claim.healthTransition = 9000
            claim.condition = HealthyCondition(
                type: ListedClaim.conditionType,
                status: "False",
                reason: "Other",
                message: "Degraded (Other)",
                transition: 1
            )
        }
        scene.event("VolumeConditionAbnormal", on: "a", message: "Inaccessible (Old)", first: 5000)
        let row = try #require(scene.row("a"))
        #expect((row.status, row.reason, row.message) == (.dataLoss, "BadBlocks", "7 blocks"))
        #expect((row.since, row.driver, row.source) == (9000, "d.example", .healthStatus))
        #expect(row.conditions.map(\.reason) == ["BadBlocks", "SlowIO"])
    }

    @Test func `without a status the claim condition counts, and before the events`() throws {
        var scene = Scene()
        scene.claim("a") { claim in
            claim.condition = HealthyCondition(
                type: ListedClaim.conditionType,
                status: "False",
                reason: "Gone",
                message: "Inaccessible (Gone): x",
                transition: 9100
            )
        }
        scene.event("VolumeConditionAbnormal", on: "a", message: "Degraded (Other)", first: 5000)
        let row = try #require(scene.row("a"))
        #expect((row.status, row.reason, row.message, row.since) == (.inaccessible, "Gone", "x", 9100))
        #expect(row.source == .claimCondition)
    }

    @Test func `a condition that is True says that the volume is healthy`() {
        var scene = Scene()
        scene.claim("a") { claim in
            claim.condition = HealthyCondition(
                type: ListedClaim.conditionType,
                status: "True",
                reason: "",
                message: "",
                transition: 9100
            )
        }
        scene.event("VolumeConditionAbnormal", on: "a", message: "Degraded (Other)", first: 5000)
        #expect(scene.row("a")?.status == .healthy)
        // The right to write the condition was taken away, or external-health-monitor runs again.
        scene.event("VolumeConditionAbnormal", on: "a", message: "Inaccessible (Gone)", first: 9200)
        #expect(scene.row("a")?.status == .inaccessible)
    }

    @Test func `an abnormal event counts until a recovery follows`() throws {
        var scene = Scene()
        scene.claim("a")
        scene.event("VolumeConditionAbnormal", on: "a", message: "the path is gone", first: 5000, last: 9000)
        let row = try #require(scene.row("a"))
        #expect((row.status, row.reason, row.since) == (.degraded, "VolumeConditionAbnormal", 5000))
        #expect((row.message, row.source) == ("the path is gone", .claimEvent))
        scene.event("VolumeConditionNormal", on: "a", first: 9500)
        #expect(scene.row("a")?.status == .healthy)
    }

    @Test func `an event that was recorded again after a recovery has held since then at most`() throws {
        var scene = Scene()
        scene.claim("a")
        scene.event("VolumeConditionNormal", on: "a", first: 6000)
        scene.event("VolumeConditionAbnormal", on: "a", message: "x", first: 5000, last: 9000)
        #expect(scene.row("a")?.since == 6000)
    }

    @Test func `resource versions decide which event is the last`() {
        var scene = Scene()
        scene.claim("a")
        scene.event("VolumeConditionNormal", on: "a", first: 9000) { $0.resourceVersion = "99" }
        scene.event("VolumeConditionAbnormal", on: "a", message: "x", first: 9000) { $0.resourceVersion = "100" }
        #expect(scene.row("a")?.status == .degraded)
    }

    @Test(arguments: [
        ("another component", "other", "uid-a", "PersistentVolumeClaim"),
        ("an earlier claim of this name", "csi-pv-monitor-controller-d.example", "uid-old", "PersistentVolumeClaim"),
        ("another kind", "csi-pv-monitor-controller-d.example", "uid-a", "PersistentVolume"),
    ])
    func `other events do not count`(_: String, component: String, uid: String, kind: String) {
        var scene = Scene()
        scene.claim("a")
        scene.event(
            "VolumeConditionAbnormal",
            on: "a",
            kind: kind,
            message: "x",
            component: component,
            first: 9000
        ) { $0.objectUID = uid }
        #expect(scene.row("a")?.status == .healthy)
        #expect(!scene.report().hasRecentEvent)
    }

    @Test func `a volume without a response is unknown, and no longer when the driver responds`() throws {
        var scene = Scene()
        scene.claim("a")
        scene.event("VolumeHealthUnknown", on: "a", first: 9000)
        let row = try #require(scene.row("a"))
        #expect((row.status, row.reason, row.since) == (.unknown, "VolumeHealthUnknown", 9000))
        #expect(!row.status.isUnhealthy)
        scene.event("VolumeHealthKnown", on: "a", first: 9500)
        #expect(scene.row("a")?.status == .healthy)
    }

    @Test func `a node's event on a pod counts for the claim that it names`() throws {
        var scene = Scene()
        scene.claim("a")
        scene.pod("web", claims: ["a"], node: "node-7")
        scene.event(
            "VolumeConditionAbnormal",
            on: "web",
            kind: "Pod",
            message: "Volume x (claim a): Degraded (SlowIO): y",
            component: "csi-pv-monitor-agent-d.example",
            first: 9000
        )
        let row = try #require(scene.row("a"))
        #expect((row.status, row.reason, row.message, row.source) == (.degraded, "SlowIO", "y", .podEvent))
        #expect((row.pods, row.nodes) == (["web"], ["node-7"]))
        scene.event(
            "VolumeConditionNormal",
            on: "web",
            kind: "Pod",
            message: "Volume x (claim a): healthy",
            component: "csi-pv-monitor-agent-d.example",
            first: 9500
        )
        #expect(scene.row("a")?.status == .healthy)
    }

    @Test func `the kubelet's event names the pod's volume alone`() {
        var scene = Scene()
        scene.claim("a")
        scene.pod("web", claims: ["a"])
        scene.event(
            "VolumeConditionAbnormal",
            on: "web",
            kind: "Pod",
            message: "Volume data-0: gone",
            component: "kubelet",
            first: 9000
        )
        #expect(scene.row("a")?.message == "gone")
    }

    /// The kubelet records no recoveries: seen on a kubelet 1.36.2.
    @Test(arguments: [true, false])
    func `a recovery that an agent has recorded ends the kubelet's event`(isLater: Bool) {
        var scene = Scene()
        scene.claim("a")
        scene.pod("web", claims: ["a"])
        // A later event has a later resource version.
        for isKubelets in [isLater, !isLater] {
            scene.event(
                isKubelets ? "VolumeConditionAbnormal" : "VolumeConditionNormal",
                on: "web",
                kind: "Pod",
                message: isKubelets ? "Volume data-0: gone" : "Volume x (claim a): healthy",
                component: isKubelets ? "kubelet" : "csi-pv-monitor-agent-d.example",
                first: 9000
            )
        }
        #expect((scene.row("a")?.status == .healthy) == isLater)
    }

    @Test func `an agent's event about a volume without a claim shows that the agent runs`() {
        var scene = Scene()
        scene.pod("web", claims: [])
        scene.event(
            "VolumeConditionAbnormal",
            on: "web",
            kind: "Pod",
            message: "Volume inline: gone",
            component: "csi-pv-monitor-agent-d.example",
            first: 9000
        )
        #expect(HealthEvents(scene.snapshot).recentDrivers(now: 9100) == ["d.example"])
    }

    @Test func `an event on a pod that has ended or was replaced does not count`() {
        for change in [{ $0.phase = "Succeeded" }, { $0.uid = "other" }] as [(inout ListedPod) -> Void] {
            var scene = Scene()
            scene.claim("a")
            scene.pod("web", claims: ["a"], change)
            scene.event(
                "VolumeConditionAbnormal",
                on: "web",
                kind: "Pod",
                message: "Volume data-0 (claim a): gone",
                component: "csi-pv-monitor-agent-d.example",
                first: 9000
            )
            #expect(scene.row("a")?.status == .healthy)
        }
    }

    @Test func `the controller's report of an unhealthy volume comes before a node's, the worst node before others`() {
        var scene = Scene()
        scene.claim("a")
        for (pod, text) in [("one", "Degraded (A)"), ("two", "Inaccessible (B)"), ("three", "Degraded (C)")] {
            scene.pod(pod, claims: ["a"])
            scene.event(
                "VolumeConditionAbnormal",
                on: pod,
                kind: "Pod",
                message: "Volume data-0 (claim a): \(text)",
                component: "csi-pv-monitor-agent-d.example",
                first: 9000
            )
        }
        #expect(scene.row("a")?.reason == "B")
        scene.event("VolumeConditionAbnormal", on: "a", message: "Degraded (D)", first: 9000)
        #expect(scene.row("a")?.reason == "D")
    }

    // MARK: Rights

    @Test func `without volumes and pods the event has the driver and the node`() throws {
        var scene = Scene()
        scene.claim("a")
        scene.event(
            "VolumeConditionAbnormal",
            on: "web",
            kind: "Pod",
            message: "Volume x (claim a): gone",
            component: "csi-pv-monitor-agent-d.example",
            first: 9000
        ) { $0.host = "node-9" }
        scene.snapshot.volumes = nil
        scene.snapshot.pods = nil
        let row = try #require(scene.row("a"))
        #expect((row.driver, row.pods, row.nodes) == ("d.example", nil, ["node-9"]))
    }

    @Test func `without volumes any event of a controller or an agent has the driver of its claim`() {
        var scene = Scene()
        for name in ["a", "b", "c"] { scene.claim(name) }
        scene.claim("pending", driver: nil)
        scene.event("VolumeConditionNormal", on: "a", first: 100)
        scene.event(
            "VolumeConditionNormal",
            on: "web",
            kind: "Pod",
            message: "Volume x (claim b): healthy",
            component: "csi-pv-monitor-agent-e.example",
            first: 9000
        )
        scene.snapshot.volumes = nil
        scene.snapshot.pods = nil
        let report = scene.report()
        #expect(report.rows.map(\.claim.name) == ["a", "b", "c", "pending"])
        #expect(report.rows.map(\.driver) == ["d.example", "e.example", nil, ""])
        #expect(report.drivers.map(\.claims) == [1, 1])
    }

    @Test func `the last event has the driver, also where events were read in another order`() {
        for isReversed in [false, true] {
            var scene = Scene()
            scene.claim("a")
            let components = ["csi-pv-monitor-controller-d.example", "csi-pv-monitor-controller-e.example"]
            for component in isReversed ? components.reversed() : components {
                scene.event("VolumeConditionNormal", on: "a", component: component, first: 9000) { event in
                    event.resourceVersion = component == components[0] ? "7" : "8"
                }
            }
            scene.snapshot.volumes = nil
            #expect(scene.row("a")?.driver == "e.example")
        }
    }

    @Test func `the claims of one driver include those whose driver is unknown`() {
        var scene = Scene()
        scene.claim("a") { $0.healthConditions = [condition(.degraded, "SlowIO")] }
        scene.claim("b")
        scene.event(
            "VolumeConditionAbnormal",
            on: "b",
            component: "csi-pv-monitor-controller-e.example",
            first: 9000
        )
        scene.snapshot.volumes = nil
        #expect(scene.report(driver: "d.example").rows.map(\.claim.name) == ["a"])
        #expect(scene.report(driver: "e.example").rows.map(\.claim.name) == ["a", "b"])
        #expect(scene.report().mayExist("any.example"))
    }

    @Test func `a driver exists if a claim, a volume or an event has it`() {
        var scene = Scene()
        scene.claim("a")
        scene.claim("elsewhere", driver: "e.example")
        scene.snapshot.claims[ObjectName("default", "elsewhere")] = nil
        let report = scene.report(driver: "d.exmaple")
        #expect(report.foundDrivers == ["d.example", "e.example"])
        #expect(report.mayExist("d.example") && report.mayExist("e.example"))
        #expect(!report.mayExist("d.exmaple"))
    }

    // MARK: Rows and drivers

    @Test func `rows are ordered by severity, then by name`() {
        var scene = Scene()
        for (name, status) in [
            ("d", nil), ("c", .degraded), ("b", .dataLoss), ("e", .inaccessible), ("a", .degraded),
        ] as [(String, HealthCore.VolumeHealthCondition.Status?)] {
            scene.claim(name) { claim in claim.healthConditions = status.map { [condition($0, "R")] } ?? [] }
        }
        scene.claim("u")
        scene.event("VolumeHealthUnknown", on: "u", first: 9000)
        #expect(scene.report().rows.map(\.claim.name) == ["b", "e", "a", "c", "u", "d"])
        #expect(scene.report().notHealthy.count == 5)
    }

    @Test func `each driver has the number of its claims and of the unhealthy ones`() {
        var scene = Scene()
        for number in 0..<5 {
            scene.claim("a\(number)") { $0.healthConditions = number < 2 ? [condition(.degraded, "R")] : [] }
        }
        scene.claim("b", driver: "e.example")
        scene.claim("pending", driver: nil)
        let drivers = scene.report().drivers
        #expect(drivers.map(\.name) == ["d.example", "e.example"])
        #expect(drivers.map(\.claims) == [5, 1])
        #expect(drivers.map(\.unhealthy) == [2, 0])
        #expect(scene.report(driver: "e.example").rows.map(\.claim.name) == ["b"])
    }

    @Test func `a driver is monitored if its Lease is renewed, or without a Lease if an event is recent`() {
        var scene = Scene()
        scene.claim("a")
        func isMonitored() -> Bool? { scene.report().drivers[0].isMonitored }
        #expect(isMonitored() == false)
        scene.lease(driver: "e.example")
        scene.lease(driver: "d.example", renewed: 100)
        scene.lease(driver: "d.example", holder: "")
        #expect(isMonitored() == false)
        scene.lease(driver: "d.example")
        #expect(isMonitored() == true)
        scene.snapshot.leases = nil
        #expect(isMonitored() == nil)
        scene.event("VolumeConditionNormal", on: "a", first: 9000)
        #expect(isMonitored() == true)
        scene.snapshot.leases = []
        #expect(isMonitored() == true)
        scene.lease(driver: "d.example", renewed: 9000)
        #expect(isMonitored() == false)
    }

    @Test func `a status or a condition of a claim is no sign of a monitor that runs`() {
        var scene = Scene()
        scene.claim("a") { claim in
            claim.healthConditions = [condition(.degraded, "SlowIO")]
            claim.condition = HealthyCondition(
                type: ListedClaim.conditionType,
                status: "False",
                reason: "SlowIO",
                message: "Degraded (SlowIO)",
                transition: 9990
            )
        }
        #expect(scene.report().drivers[0].isMonitored == false)
        scene.snapshot.leases = nil
        #expect(scene.report().drivers[0].isMonitored == nil)
    }

    @Test(arguments: [(2400, true), (2401, false)])
    func `an event counts for 40 minutes after it was last recorded`(age: Int64, isMonitored: Bool) {
        var scene = Scene()
        scene.claim("a")
        scene.event("VolumeConditionAbnormal", on: "a", first: 100, last: Scene.now - age)
        #expect(scene.report().drivers[0].isMonitored == isMonitored)
        #expect(scene.report().hasRecentEvent == isMonitored)
    }

    @Test func `of the Leases of a driver's nodes one that is renewed is enough, else the last one counts`() {
        var scene = Scene()
        scene.claim("a")
        scene.lease(driver: "d.example.node-1", renewed: 5000)
        scene.lease(driver: "d.example.node-2", renewed: 4000)
        #expect(
            scene.report().drivers[0].lease
                == .lapsed(name: "external-health-monitor-leader-d-example-node-1", age: 5000)
        )
        scene.lease(driver: "d.example.node-2")
        #expect(scene.report().drivers[0].lease == .renewed)
    }

    @Test func `the Lease of one node monitors a driver, that of a driver with a longer name does not`() {
        var scene = Scene()
        scene.claim("a", driver: "d.example")
        scene.claim("b", driver: "d.example.two")
        scene.lease(driver: "d.example.two")
        #expect(scene.report().drivers.map(\.isMonitored) == [false, true])
        scene.lease(driver: "d.example.node-1")
        #expect(scene.report().drivers.map(\.isMonitored) == [true, true])
        scene.snapshot.leases = []
        scene.lease(driver: "d.example.two.node-1")
        #expect(scene.report().drivers.map(\.isMonitored) == [false, true])
    }

    @Test func `which claims are selected does not change whose Lease it is`() {
        var scene = Scene()
        scene.claim("a", driver: "d.example")
        scene.claim("b", driver: "d.example.two")
        scene.lease(driver: "d.example.two")
        let report = scene.report(driver: "d.example")
        #expect(report.drivers.map(\.isMonitored) == [false])
    }

    @Test func `an event on a claim that was not selected shows that the controller runs`() {
        var scene = Scene()
        scene.claim("a")
        scene.event(EventVocabulary.abnormalReason, on: "other", message: "Degraded (R)", first: Scene.now - 60)
        #expect(scene.report().drivers.map(\.isMonitored) == [true])
        #expect(scene.row("a")?.status == .healthy)
    }

    @Test func `a claim whose volume is gone is of the driver that its events have`() {
        var scene = Scene()
        scene.claim("a", driver: "d.example")
        scene.snapshot.volumes = [:]
        #expect(scene.report().rows.map(\.driver) == [nil])
        scene.event(EventVocabulary.abnormalReason, on: "a", message: "Degraded (R)", first: 8000)
        #expect(scene.report().rows.map(\.driver) == ["d.example"])
    }

    @Test func `of two pods' events of the same second the same one is shown, whatever the order`() {
        let reports = (0..<20).map { _ in
            var scene = Scene()
            scene.claim("a")
            for number in 0..<8 {
                scene.pod("p\(number)", claims: ["a"])
                scene.event(
                    EventVocabulary.abnormalReason,
                    on: "p\(number)",
                    kind: "Pod",
                    message: "Volume x (claim a): Degraded (R\(number))",
                    component: "csi-pv-monitor-agent-d.example",
                    first: 8000
                ) { $0.name.name = "event-of-\(number)" }
            }
            return scene.report().rows.map(\.reason)
        }
        #expect(Set(reports) == [["R0"]])
    }

    @Test(arguments: 0..<50 as Range<UInt64>)
    func `the report does not depend on the order in which objects were read`(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let reasons = HealthEvents.reasons
        var additions: [(inout Scene) -> Void] = []
        for number in 0..<12 {
            let name = "c\(number % 4)"
            let pod = "p\(number % 3)"
            let reason = reasons[Int.random(in: 0..<reasons.count, using: &random)]
            let time = Int64.random(in: 8000..<8005, using: &random)
            let version = String(Int.random(in: 1..<1000, using: &random) * 12 + number)
            let isOnPod = Bool.random(using: &random)
            additions.append { scene in
                scene.claim(name)
                scene.pod(pod, claims: [name])
                scene.event(
                    reason,
                    on: isOnPod ? pod : name,
                    kind: isOnPod ? "Pod" : "PersistentVolumeClaim",
                    message: isOnPod ? "Volume x (claim \(name)): Degraded (R\(number))" : "Degraded (R\(number))",
                    component: isOnPod ? "csi-pv-monitor-agent-d.example" : "csi-pv-monitor-controller-d.example",
                    first: time
                ) { event in
                    event.name.name = "event-of-\(number)"
                    event.resourceVersion = version
                }
            }
        }
        func scene(_ additions: [(inout Scene) -> Void]) -> Scene {
            var scene = Scene()
            for name in 0..<4 { scene.claim("c\(name)") }
            for (number, claim) in [(0, "c0"), (1, "c1"), (2, "c2")] { scene.pod("p\(number)", claims: [claim]) }
            let pods = scene.snapshot.pods
            for addition in additions { addition(&scene) }
            scene.snapshot.pods = pods
            return scene
        }
        let expected = scene(additions).report()
        let shuffled = scene(additions.shuffled(using: &random)).report()
        #expect(shuffled.rows == expected.rows)
        #expect(shuffled.drivers == expected.drivers)
    }
}
