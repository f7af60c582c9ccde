// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthMonitorTestKit
import NodeCore
import NodeMonitor
import Testing

/// Fault 9 of external-health-monitor's agent: it gives the driver one second for three calls, and its process ends
/// with the connection.
@Suite(.timeLimit(.minutes(50))) struct AgentFaultTests {
    private static let handle = VolumeFixture(number: 0).handle

    @Test func `fault 9, a driver that takes a minute for each of the first calls is monitored`() async throws {
        try await NodeScene.run { scene in
            try scene.createPod()
            scene.driver.intercept { [clock = scene.clock] call in
                if call.volumeID.isEmpty { try? await clock.sleep(for: .seconds(60)) }
                return nil
            }
        } _: { scene, _ in
            let start = scene.clock.now
            try await scene.advance(untilProbed: Self.handle, 2)
            #expect(start.duration(to: scene.clock.now) > .seconds(120))
        }
    }

    @Test(.tags(.rule1))
    func `fault 9, a driver that goes and comes back ends neither the agent nor a report`() async throws {
        try await NodeScene.run { scene in
            try scene.createPod()
            scene.set("gone", ofVolume: Self.handle)
        } _: { scene, monitor in
            try await scene.advance(untilEvents: 1)
            for _ in 0..<2 {
                await scene.driver.stop()
                try await scene.advance { monitor.status().drivers.first?.isConnected == false }
                #expect(monitor.snapshot().unhealthy.map(\.volume.podName) == ["my-csi-app"])
                try scene.driver.start()
                try await scene.advance(untilProbedAgain: Self.handle, 2)
            }
            #expect(try scene.events().map { $0["count"] } == [1])
        }
    }
}
