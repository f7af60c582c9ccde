// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import ControllerCore
import HealthCore
import KubernetesAPI
import Testing

@testable import ControllerMonitor
@testable import csi_health_monitor

/// Timestamps of objects can have any value. A tenant who can write events must not be able to end the process when its
/// page is opened.
@Suite struct StatusPageTimeTests {
    @Test(
        arguments: [
            (.min, "100y", "1926-12-24T"), (-62_135_596_800, "100y", "1926-12-24T"),
            (253_402_300_800, "1s", "2026-11-29T"), (.max, "1s", "2026-11-29T"),
        ] as [(Int64, String, String)]
    )
    func `the page shows a claim with an event of any time`(time: Int64, age: String, date: String) {
        var state = restored(from: time)
        let now = Duration.seconds(1)
        let broken = HealthCore.VolumeHealthCondition(abnormalMessage: "broken")
        state.receive(
            .report(VolumeHealthReport(volumeHandle: "a", conditions: [broken])),
            ofVolumeHandle: "a",
            at: now
        )
        var health = HealthSnapshot(countsOf: state, nil, at: now)
        health.unhealthyClaims = state.unhealthyStates(of: state.unhealthyClaims).map { claim in
            HealthSnapshot.UnhealthyClaim(claim.claim, claim.state, age: now - claim.since)
        }
        let page = StatusPageScene.page(health: health)
        let row = "<td data-column=\"Reason\">VolumeConditionAbnormal</td><td data-column=\"For\">\(age)</td>"
        #expect(StatusPageScene.html(page).contains(row))
        #expect(page.json.contains("\"since\": \"\(date)"))
    }

    /// The core of a new leader that has read back an event of this time on a claim with the volume `a`.
    private func restored(from time: Int64) -> HealthState {
        let claim = Claim(key: ClaimKey(namespace: "shop", name: "data"), uid: "uid", resourceVersion: "1")
        var state = HealthState()
        state.apply(
            MonitoredVolume(name: "pv", handle: "a", claim: claim.key, claimUID: claim.uid, isBound: true),
            at: .zero
        )
        state.apply(claim, volumeName: "pv", at: .zero)
        var event = Event()
        event.reason = EventVocabulary.abnormalReason
        event.message = "broken"
        event.involvedObject = ObjectReference(claim)
        event.firstTimestamp.seconds = time
        event.lastTimestamp.seconds = time
        var history = RecordedHistory(component: "c")
        history.add(event, isCached: true)
        state.restore(history, at: .zero)
        return state
    }
}
