// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import ControllerMonitor
import HealthMonitorTestKit
import HealthRuntime
import Testing

/// Unhealthy volumes are probed four times as often as others, where the driver has a call for a single volume.
@Suite(.timeLimit(.minutes(50))) struct RecheckTests {
    static let volume = VolumeFixture(number: 0)

    private static func prepare(_ capabilities: [Int]) -> (Scene) throws -> Void {
        { scene in
            scene.driver.configuration.controllerCapabilities = capabilities
            for number in 0..<3 {
                let volume = VolumeFixture(number: number)
                try volume.create(in: scene.server)
                scene.driver.set(.healthy, ofVolume: volume.handle)
            }
            scene.driver.set(.abnormal("broken"), ofVolume: volume.handle)
        }
    }

    @Test func `between two lists a recovery is reported after a quarter of the interval`() async throws {
        try await Scene.run {
            $0.unhealthyInterval = .zero
        } prepare: { scene in
            try Self.prepare([3, 11, 12])(scene)
        } _: { scene in
            _ = await scene.write(1)
            scene.driver.set(.healthy, ofVolume: Self.volume.handle)
            scene.clock.advance(by: Scene.interval / 4)
            _ = await scene.write(2)
            let reasons = try scene.events().map { $0["reason"] }
            #expect(reasons == ["VolumeConditionAbnormal", "VolumeConditionNormal"])
            #expect(scene.driver.journal.calls("ListVolumes").count == 1)
            #expect(scene.driver.journal.calls("ControllerGetVolume").map(\.volumeID) == [Self.volume.handle])
        }
    }

    @Test func `without lists a recovery is reported after a quarter of the interval`() async throws {
        try await Scene.run {
            $0.unhealthyInterval = .zero
            $0.monitorInterval = .seconds(3600)
        } prepare: { scene in
            try Self.prepare([11, 12])(scene)
        } _: { scene in
            try await scene.advance { try scene.events().count == 1 }
            let before = scene.clock.now.offset
            scene.driver.set(.healthy, ofVolume: Self.volume.handle)
            try await scene.advance { try scene.events().count == 2 }
            // The clock runs on until the event is recorded.
            #expect(scene.clock.now.offset - before <= .seconds(1800))
            // Each of the others is probed once in an interval.
            let calls = scene.driver.journal.calls("ControllerGetVolume").count { $0.volumeID != Self.volume.handle }
            let intervals = Int(scene.clock.now.offset / .seconds(3600)) + 1
            #expect(calls <= 2 * intervals)
        }
    }

    @Test(arguments: [nil, Duration.seconds(300), .seconds(600)])
    func `only an interval that is shorter than that of the lists makes calls`(interval: Duration?) async throws {
        try await Scene.run {
            $0.unhealthyInterval = interval
        } prepare: { scene in
            try Self.prepare([3, 11, 12])(scene)
        } _: { scene in
            _ = await scene.write(1)
            for _ in 0..<3 { await scene.sweepAgain() }
            #expect(scene.driver.journal.calls("ControllerGetVolume").isEmpty)
        }
    }

    @Test func `a driver without a call for a single volume is only listed`() async throws {
        try await Scene.run {
            $0.unhealthyInterval = .zero
        } prepare: { scene in
            try Self.prepare([3, 11])(scene)
        } _: { scene in
            _ = await scene.write(1)
            scene.driver.set(.healthy, ofVolume: Self.volume.handle)
            await scene.sweepAgain()
            _ = await scene.write(2)
            #expect(scene.driver.journal.calls("ControllerGetVolume").isEmpty)
        }
    }
}
