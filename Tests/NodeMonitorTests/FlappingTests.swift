// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthMonitorTestKit
import NodeMonitor
import Synchronization
import Testing

@Suite(.timeLimit(.minutes(50))) struct FlappingTests {
    private static let volume = VolumeFixture(number: 0)

    /// Without and with the delay of a new process.
    @Test(.tags(.rule10), arguments: [0, 15])
    func `a volume that is flapping has one event that says so`(delay: Int) async throws {
        let calls = Mutex(0)
        try await NodeScene.run {
            $0.reportDelay = .seconds(delay)
        } prepare: { scene in
            try scene.createPod()
            scene.driver.intercept { call in
                guard call.volumeID == Self.volume.handle else { return nil }
                let number = calls.withLock { calls in
                    calls += 1
                    return calls
                }
                return .nodeCondition(number.isMultiple(of: 2) ? .healthy : .abnormal("gone"))
            }
        } _: { scene, _ in
            try await scene.advance { try scene.events().contains { $0["reason"] == "VolumeHealthFlapping" } }
            let event = try #require(try scene.events().first { $0["reason"] == "VolumeHealthFlapping" })
            let message = try #require(event["message"]?.string)
            #expect(message.hasPrefix("Volume data-0 (claim csi-pvc): The volume's health has changed 7 times since 2"))
            #expect(message.hasSuffix("Now: gone"))
            #expect(event["type"] == "Warning")
            #expect(event["involvedObject", "name"] == "my-csi-app")
            let events = try scene.events()
            #expect(events.count == 3)
            try await scene.advance(untilProbedAgain: Self.volume.handle, 5)
            #expect(try scene.events() == events)
        }
    }
}
