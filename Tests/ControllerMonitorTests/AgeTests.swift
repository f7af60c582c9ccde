// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import ControllerCore
import HealthCore
import KubernetesAPI
import Testing

@testable import ControllerMonitor
@testable import HealthRuntime

/// Timestamps of objects can have any value. A client that can write events must not be able to end the process.
struct AgeTests {
    @Test(
        arguments: [
            (90, .seconds(10)), (100, .zero), (110, .zero), (.max, .zero),
            (253_402_300_800, .zero), (-62_135_596_800, .seconds(3_153_600_000)), (.min, .seconds(3_153_600_000)),
        ] as [(Int64, Duration)]
    )
    func `every timestamp has an age, of 100 years at most`(time: Int64, expected: Duration) {
        #expect(Duration.age(of: time, now: 100) == expected)
    }

    /// The core of a new leader that has read back an event of this time on a claim with the volume `a`.
    private func restored(from time: Int64) -> HealthState {
        let claim = Claim(key: ClaimKey(namespace: "shop", name: "data"), uid: "uid", resourceVersion: "1")
        var healthState = HealthState()
        let volume = MonitoredVolume(
            name: "pv",
            handle: "a",
            claim: claim.key,
            claimUID: claim.uid,
            isBound: true
        )
        healthState.apply(volume, at: .zero)
        healthState.apply(claim, volumeName: "pv", at: .zero)

        var event = Event()
        event.reason = EventVocabulary.abnormalReason
        event.involvedObject = ObjectReference(claim)
        event.lastTimestamp.seconds = time
        event.firstTimestamp.seconds = time
        var reported = RecordedHistory(component: "c")
        reported.add(event, isCached: true)
        healthState.restore(reported, at: .zero)
        return healthState
    }

    @Test(arguments: [Int64.min, -1, Int64.max])
    func `an event with any timestamp is read back`(time: Int64) {
        var healthState = restored(from: time)
        // The report is known, because its recovery is reported.
        healthState.receive(
            .report(VolumeHealthReport(volumeHandle: "a", conditions: [])),
            ofVolumeHandle: "a",
            at: .seconds(1)
        )
        guard case .run(let pendingReport) = healthState.nextEvent(at: .seconds(1)) else {
            Issue.record("nothing is reported")
            return
        }
        #expect(pendingReport.state.isClear)
    }

    @Test(arguments: [Int64.min, -62_135_596_800, -1, 253_402_300_800, Int64.max])
    func `the status that follows an event with any timestamp has a time of the last 100 years`(time: Int64) {
        var healthState = restored(from: time)
        let broken = HealthCore.VolumeHealthCondition(abnormalMessage: "broken")
        healthState.receive(
            .report(VolumeHealthReport(volumeHandle: "a", conditions: [broken])),
            ofVolumeHandle: "a",
            at: .seconds(1)
        )
        guard case .run(let status) = healthState.nextStatus(at: .seconds(1)) else {
            Issue.record("no status is written")
            return
        }
        let (seconds, _) = (Duration.seconds(1) - healthState.since(status)).components
        #expect((1...3_153_600_001).contains(seconds))
    }

    @Test(arguments: [Int64.min, -1, Int64.max])
    func `a node with any transition time can be not ready`(time: Int64) {
        var ready = NodeCondition()
        ready.type = "Ready"
        ready.status = "False"
        ready.lastTransitionTime.seconds = time
        var node = Node()
        node.metadata.name = "node"
        node.status.conditions = [ready]
        guard case .notReady(let since) = MonitoredNode(listed: node, at: .seconds(5)).readiness else {
            Issue.record("it is ready")
            return
        }
        #expect(since <= .seconds(5))
    }
}
