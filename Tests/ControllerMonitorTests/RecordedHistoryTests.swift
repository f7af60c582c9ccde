// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import ControllerCore
import HealthCore
import HealthMonitorTestKit
import HealthRuntime
import KubernetesAPI
import Testing

@testable import ControllerMonitor

/// What a new leader keeps of the events that it reads back: a tenant who may create events in one namespace can make
/// up as many as the API server stores.
@Suite(.timeLimit(.minutes(50))) struct RecordedHistoryTests {
    private static let component = "csi-pv-monitor-controller-hostpath.csi.k8s.io"

    private static func event(_ reason: String, on name: String, fingerprint: UInt32 = 7) -> Event {
        var event = Event()
        event.metadata.name = EventName.make(
            object: "data",
            uid: "uid",
            component: component,
            reason: reason,
            fingerprint: Fingerprint(rawValue: fingerprint)
        )
        event.reason = reason
        event.involvedObject.namespace = "tenant"
        event.involvedObject.name = name
        event.involvedObject.uid = "uid"
        return event
    }

    private static func nodeFailed(_ node: String, on name: String) -> Event {
        let state = NodeFailureState(node: node, pods: ["pod"])
        var event = event(EventVocabulary.nodeFailedReason, on: name)
        event.message = EventVocabulary.nodeFailedMessage(state, claim: ClaimKey(namespace: "tenant", name: name))
        return event
    }

    @Test(.tags(.rule9)) func `of claims that are not in the cache, a limited number is kept`() {
        var history = RecordedHistory(component: Self.component)
        var failures = RecordedNodeFailures()
        for number in 0..<3000 {
            history.add(Self.event(EventVocabulary.abnormalReason, on: "\(number)"), isCached: false)
            history.add(Self.event(EventVocabulary.healthUnknownReason, on: "\(number)"), isCached: false)
            history.add(Self.event(EventVocabulary.unknownReason, on: "\(number)"), isCached: false)
            failures.add(Self.nodeFailed("node", on: "\(number)"), isCached: false)
        }
        for count in [history.volumes.count, history.responses.count, history.unknowns.count, failures.failures.count] {
            #expect(count == RecordedClaims.maximumOthers)
        }
        history.add(Self.event(EventVocabulary.abnormalReason, on: "cached"), isCached: true)
        failures.add(Self.nodeFailed("node", on: "cached"), isCached: true)
        #expect(history.volumes.keys.contains { $0.key.name == "cached" })
        #expect(failures.failures.contains { $0.claim.key.name == "cached" })
    }

    @Test func `a name that no claim and no node can have is not kept`() {
        let long = String(repeating: "n", count: 1_000_000)
        var history = RecordedHistory(component: Self.component)
        history.add(Self.event(EventVocabulary.abnormalReason, on: long), isCached: false)
        #expect(history.volumes.isEmpty)
        var failures = RecordedNodeFailures()
        failures.add(Self.nodeFailed(long, on: "data"), isCached: true)
        #expect(failures.failures.isEmpty)
    }

    @Test func `the events on one claim are kept for a limited number of unknown conditions and of nodes`() {
        var history = RecordedHistory(component: Self.component)
        var failures = RecordedNodeFailures()
        for number in 0..<1000 {
            let unknown = Self.event(EventVocabulary.unknownReason, on: "data", fingerprint: UInt32(number))
            history.add(unknown, isCached: true)
            failures.add(Self.nodeFailed("node-\(number)", on: "data"), isCached: true)
        }
        #expect(history.unknowns.values.map(\.count) == [HealthState.maximumUnknownConditions])
        #expect(failures.failures.count == RecordedNodeFailures.maximumNodes)
    }

    /// The watch may deliver a claim after its events were listed.
    @Test(.tags(.rule9)) func `the report on a claim that appears while events are read is known`() {
        var history = RecordedHistory(component: Self.component)
        history.add(Self.event(EventVocabulary.abnormalReason, on: "data"), isCached: false)
        var state = HealthState()
        let claim = Claim(key: ClaimKey(namespace: "tenant", name: "data"), uid: "uid", resourceVersion: "1")
        #expect(!state.hasClaim(at: claim.key, uid: claim.uid))
        state.apply(
            MonitoredVolume(name: "pv", handle: "h", claim: claim.key, claimUID: claim.uid, isBound: true),
            at: .zero
        )
        state.apply(claim, volumeName: "pv", at: .zero)
        #expect(state.hasClaim(at: claim.key, uid: claim.uid))
        #expect(!state.hasClaim(at: claim.key, uid: "of another claim"))
        state.restore(history, at: .zero)
        state.receive(.report(VolumeHealthReport(volumeHandle: "h", conditions: [])), ofVolumeHandle: "h", at: .zero)
        guard case .run(let recovery) = state.nextEvent(at: .zero) else {
            Issue.record("the recovery is not reported")
            return
        }
        #expect(recovery.state.isClear)
    }

    @Test(.tags(.rule9)) func `made-up events do not displace the reports on existing claims`() async throws {
        try await RestoreTests.run(.abnormal("broken")) { scene in
            try await scene.monitor { _ in _ = await scene.write(1) }
            // In the order of the list before the event of the existing claim.
            try scene.server.create(["kind": "Namespace", "metadata": ["name": "attack"]])
            for number in 0..<RecordedClaims.maximumOthers + 100 {
                try scene.server.create([
                    "kind": "Event", "metadata": ["namespace": "attack", "name": .string("e\(number)")],
                    "involvedObject": [
                        "kind": "PersistentVolumeClaim", "namespace": "attack", "name": .string("c\(number)"),
                        "uid": "u",
                    ],
                    "reason": "VolumeConditionAbnormal", "source": ["component": .string(Self.component)],
                ])
            }
            scene.driver.set(.healthy, ofVolume: RestoreTests.volume.handle)
            try await scene.monitor { _ in _ = await scene.write(2) }
            let reasons = try scene.events().filter { $0["metadata", "namespace"] == "default" }.map { $0["reason"] }
            #expect(reasons == ["VolumeConditionAbnormal", "VolumeConditionNormal"])
        }
    }
}
