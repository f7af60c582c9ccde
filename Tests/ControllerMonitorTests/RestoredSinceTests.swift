// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import ControllerCore
import HealthCore
import KubernetesAPI
import Testing

@testable import ControllerMonitor
@testable import HealthRuntime

/// Since when a volume is unhealthy, according to its events.
struct RestoredSinceTests {
    private static let claim = Claim(key: ClaimKey(namespace: "shop", name: "data"), uid: "uid", resourceVersion: "1")
    private static let component = "csi-pv-monitor-controller-d"

    private struct Recorded {
        var reason: String
        var name: String
        var first: Int64
        var last: Int64
        var message = "broken"
    }

    private static let ehm = Recorded(reason: EventVocabulary.abnormalReason, name: "data.17a", first: 100, last: 400)

    /// The event of this monitor for a legacy driver.
    private static func own(first: Int64, last: Int64) -> Recorded {
        let fingerprint = VolumeState([VolumeHealthCondition(abnormalMessage: "broken")]).fingerprint
        let name = EventName.make(
            object: claim.key.name,
            uid: claim.uid,
            component: component,
            reason: EventVocabulary.abnormalReason,
            fingerprint: fingerprint
        )
        return Recorded(reason: EventVocabulary.abnormalReason, name: name, first: first, last: last)
    }

    private static func normal(_ time: Int64) -> Recorded {
        Recorded(reason: EventVocabulary.normalReason, name: "n", first: time, last: time)
    }

    /// Resource versions are in the order of the last timestamps.
    private func firstTime(_ events: [Recorded]) -> Int64? {
        var reported = RecordedHistory(component: Self.component)
        for recorded in events {
            var event = Event()
            event.metadata.name = recorded.name
            event.metadata.resourceVersion = "\(recorded.last)"
            event.reason = recorded.reason
            event.message = recorded.message
            event.involvedObject = ObjectReference(Self.claim)
            (event.firstTimestamp.seconds, event.lastTimestamp.seconds) = (recorded.first, recorded.last)
            reported.add(event, isCached: true)
        }
        return reported.volumes.values.first.flatMap { $0.fingerprint == nil ? nil : $0.firstTime }
    }

    @Test func `after the switch from external-health-monitor, the time is that of its event`() {
        #expect(firstTime([Self.ehm]) == 100)
        #expect(firstTime([Self.ehm, Self.own(first: 500, last: 900)]) == 100)
        #expect(firstTime([Self.own(first: 500, last: 900), Self.ehm]) == 100)
    }

    @Test func `a recovery in between restarts the time`() {
        #expect(firstTime([Self.own(first: 100, last: 900), Self.normal(600)]) == 600)
        #expect(firstTime([Self.normal(600), Self.own(first: 100, last: 900)]) == 600)
        #expect(firstTime([Self.own(first: 100, last: 500), Self.normal(600)]) == nil)
    }
}
