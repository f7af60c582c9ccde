// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthCore
import KubernetesAPI
import Testing

@testable import VolumeStatus

/// Times of objects can have any value: the API server does not validate them in protobuf. A tenant who can create
/// events must not be able to end the `status` of other users.
@Suite struct AnyTimeTests {
    static let past = [Int64.min, -62_135_596_800]
    static let future = [253_402_300_800, Int64.max]

    /// Claims with this time in `status.healthStatus`, in a condition and in events; a Lease and a pod with it.
    private func scene(_ time: Int64) -> Scene {
        var scene = Scene()
        let unhealthy = HealthyCondition(
            type: ListedClaim.conditionType,
            status: "False",
            reason: "SlowIO",
            message: "Degraded (SlowIO)",
            transition: time
        )
        scene.claim("a") { claim in
            claim.created = time
            claim.healthConditions = [condition(.degraded, "SlowIO")]
            claim.healthTransition = time
            claim.condition = unhealthy
        }
        scene.claim("b") { $0.condition = unhealthy }
        scene.claim("c")
        scene.event("VolumeConditionAbnormal", on: "c", message: "gone", first: time)
        scene.event("Resized", on: "a", component: "resizer", first: time, last: max(time, Scene.now)) { $0.count = 3 }
        scene.pod("web", claims: ["a"]) { $0.created = time }
        scene.lease(driver: "d.example", renewed: time)
        return scene
    }

    private func story(_ time: Int64) -> String? {
        var ready = NodeCondition()
        (ready.type, ready.status, ready.lastTransitionTime.seconds) = ("Ready", "True", time)
        var node = Node()
        node.metadata.name = "node-1"
        node.status.conditions = [ready]
        return ClaimStory(
            of: ObjectName("default", "a"),
            scene(time).snapshot,
            nodes: ["node-1": node],
            leaseName: Scene.leaseName,
            now: Scene.now
        )?.text(now: Scene.now)
    }

    private func sinceColumn(_ time: Int64) -> [String] {
        var table = StatusTable(detail: .normal, hasNamespace: false, isColored: false)
        let lines = table.lines(scene(time).report().notHealthy, hasHeader: false, now: Scene.now)
        return lines.split(separator: "\n").map { line in
            let cells = line.split(separator: " ")
            return cells.count > 3 ? String(cells[3]) : ""
        }
    }

    @Test(arguments: past) func `a time of the distant past is 100 years ago`(time: Int64) throws {
        let report = scene(time).report()
        #expect(sinceColumn(time) == ["100y", "100y", "100y"])
        #expect(report.notHealthy.allSatisfy { $0.structured.compactJSON.contains("\"since\":\"0001-01-") })
        #expect(!report.hasRecentEvent)
        #expect(report.isAnyLeaseRenewed == false)
        #expect(scene(time).summary().warnings.first?.contains("was last renewed 100y ago. ") == true)
        let text = try #require(story(time))
        #expect(text.contains("Health:   Degraded (SlowIO) for 100y\n"))
        #expect(text.contains("was last renewed 100y ago: "))
        #expect(text.contains("recorded Resized:  (3 times since 0001-01-"))
    }

    /// As in kubectl, which shows the age of a time in the future as `<invalid>`.
    @Test(arguments: future) func `a time of the distant future is shown as invalid`(time: Int64) throws {
        let report = scene(time).report()
        #expect(sinceColumn(time) == ["<invalid>", "<invalid>", "<invalid>"])
        let since = "\"since\":\"9999-12-31T23:59:59Z\""
        #expect(report.notHealthy.allSatisfy { $0.structured.compactJSON.contains(since) })
        #expect(report.hasRecentEvent)
        #expect(report.isAnyLeaseRenewed == true)
        let text = try #require(story(time))
        for entry in ["The claim was created", "Pod web was created", "Node node-1 became Ready", "resizer recorded"] {
            #expect(text.contains("9999-12-31T23:59:59Z   <invalid>   \(entry)"))
        }
    }

    @Test(arguments: past + future) func `a Lease without a holder may have any time`(time: Int64) {
        var scene = scene(time)
        scene.lease(driver: "d.example", renewed: time, holder: "")
        let age = Self.past.contains(time) ? "100y" : "0s"
        #expect(scene.summary().warnings.first?.contains("was last renewed \(age) ago. ") == true)
    }
}
