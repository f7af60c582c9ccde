// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthCore
import KubernetesAPI
import Testing

@testable import VolumeStatus

@Suite struct ClaimStoryTests {
    private func scene() -> Scene {
        var scene = Scene()
        scene.claim("a") { claim in
            claim.healthConditions = [condition(.dataLoss, "BadBlocks", "7 blocks"), condition(.degraded, "SlowIO")]
            claim.healthTransition = 9000
            claim.condition = HealthyCondition(
                type: ListedClaim.conditionType,
                status: "False",
                reason: "BadBlocks",
                message: "DataLoss (BadBlocks): 7 blocks",
                transition: 9001
            )
        }
        scene.pod("web", claims: ["a"])
        scene.pod("other", claims: ["b"])
        scene.event(
            "VolumeConditionAbnormal",
            on: "a",
            message: "DataLoss (BadBlocks): 7 blocks",
            first: 9002,
            last: 9900
        ) { $0.count = 3 }
        scene.event("ProvisioningSucceeded", on: "a", message: "done", component: "provisioner", first: 150)
        scene.event(
            "VolumeConditionAbnormal",
            on: "web",
            kind: "Pod",
            message: "Volume data-0 (claim a): Degraded (Slow)",
            component: "csi-pv-monitor-agent-d.example",
            first: 9003
        ) { $0.host = "node-1" }
        scene.event(
            "VolumeConditionAbnormal",
            on: "other",
            kind: "Pod",
            message: "Volume data-0 (claim b): Degraded (Slow)",
            component: "csi-pv-monitor-agent-d.example",
            first: 9004
        )
        return scene
    }

    private func story(_ scene: Scene, _ nodes: [String: Node]? = nil) -> ClaimStory? {
        ClaimStory(
            of: ObjectName("default", "a"),
            scene.snapshot,
            nodes: nodes,
            leaseName: Scene.leaseName,
            now: Scene.now
        )
    }

    @Test func `the story has the facts, and what happened in the order of time`() {
        var node = Node()
        node.metadata.name = "node-1"
        var ready = NodeCondition()
        (ready.type, ready.status, ready.lastTransitionTime.seconds) = ("Ready", "False", 9500)
        node.status.conditions = [ready]
        let found = story(scene(), ["node-1": node])
        #expect(
            found?.text(now: Scene.now) == """
                Health:   DataLoss (BadBlocks) for 16m: 7 blocks
                          Degraded (SlowIO)
                Source:   status.healthStatus of the claim
                Claim:    default/a, Bound
                Volume:   pv-a, handle handle-a
                Driver:   d.example
                Monitor:  found
                Pods:     web, Running, on node node-1 (not Ready)

                TIME                   AGE     WHAT
                1970-01-01T00:01:40Z   165m    The claim was created
                1970-01-01T00:02:30Z   164m    provisioner recorded ProvisioningSucceeded: done
                1970-01-01T00:03:20Z   163m    Pod web was created, now on node node-1
                1970-01-01T02:30:00Z   16m     status.healthStatus became DataLoss (BadBlocks): 7 blocks; Degraded (SlowIO)
                1970-01-01T02:30:01Z   16m     The condition csi-health-monitor/VolumeHealthy became False (BadBlocks): DataLoss (BadBlocks): 7 blocks
                1970-01-01T02:30:03Z   16m     csi-pv-monitor-agent-d.example on node node-1 recorded on pod web VolumeConditionAbnormal: Volume data-0 (claim a): Degraded (Slow)
                1970-01-01T02:38:20Z   8m20s   Node node-1 stopped being Ready (False)
                1970-01-01T02:45:00Z   100s    csi-pv-monitor-controller-d.example recorded VolumeConditionAbnormal: DataLoss (BadBlocks): 7 blocks (3 times since 1970-01-01T02:30:02Z)

                """
        )
    }

    /// A condition that comes back raises the count of its event.
    @Test func `an event that was raised after a recovery comes after the recovery`() throws {
        var scene = Scene()
        scene.claim("a")
        scene.event("VolumeConditionAbnormal", on: "a", message: "gone", first: 9000, last: 9800) { $0.count = 2 }
        scene.event("VolumeConditionNormal", on: "a", message: "back", first: 9400)
        let entries = try #require(story(scene)).entries
        #expect(entries.map(\.time) == [100, 9400, 9800])
        let text = "csi-pv-monitor-controller-d.example recorded VolumeConditionAbnormal: gone"
        #expect(entries.last?.text == text + " (2 times since 1970-01-01T02:30:00Z)")
    }

    @Test func `what may not be read is called unknown`() throws {
        var scene = Scene()
        scene.claim("a")
        scene.snapshot.volumes = nil
        scene.snapshot.pods = nil
        scene.snapshot.events = nil
        scene.snapshot.leases = nil
        let facts = try #require(story(scene)).facts
        #expect(
            facts.map { "\($0.name): \($0.value)" } == [
                "Health: nothing is reported", "Claim: default/a, Bound", "Volume: pv-a", "Driver: unknown",
                "Monitor: unknown", "Pods: unknown: listing them is forbidden",
            ]
        )
    }

    @Test func `without a controller the story says who would report at most`() throws {
        var scene = Scene()
        scene.claim("a")
        var facts = try #require(story(scene)).facts
        let rest = ": only an agent on the node would report an unhealthy volume"
        #expect(facts.contains { $0.value == "no controller was found" + rest })
        scene.lease(driver: "d.example", renewed: Scene.now - 420)
        facts = try #require(story(scene)).facts
        let lapse = "the Lease external-health-monitor-leader-d-example was last renewed 7m ago"
        #expect(facts.contains { $0.name == "Monitor" && $0.value == lapse + rest })
        #expect(facts.contains { $0.value == "none uses the claim" })
    }

    @Test func `a claim that does not exist has no story`() {
        #expect(story(Scene()) == nil)
    }
}
