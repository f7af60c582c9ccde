// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import ControllerMonitor
import HealthMonitorTestKit
import HealthRuntime
import Testing

/// Fault 8 of EHM: missing volumes are only logged.
@Suite(.timeLimit(.minutes(50))) struct AbsenceTests {
    static let volume = VolumeFixture(number: 0)

    static func healthy(_ capabilities: [Int]) -> (Scene) throws -> Void {
        { scene in
            scene.driver.configuration.controllerCapabilities = capabilities
            try volume.create(in: scene.server)
            scene.driver.set(.healthy, ofVolume: volume.handle)
        }
    }

    @Test(.tags(.rule4)) func `a volume that vanishes from the list is confirmed by a call and reported`() async throws
    {
        try await Scene.run(prepare: Self.healthy([3, 11, 12])) { scene in
            await scene.driver.journal.wait(for: "ListVolumes", count: 1)
            scene.driver.volumes = []
            await scene.sweepAgain()
            _ = await scene.write(1)
            #expect(scene.driver.journal.calls("ControllerGetVolume").map(\.volumeID) == [Self.volume.handle])
            let messages = try scene.events().map { $0["message"]?.string ?? "" }
            #expect(messages.count == 1)
            #expect(messages.first?.hasPrefix("Inaccessible (VolumeNotFound): ") == true)

            scene.driver.set(.healthy, ofVolume: Self.volume.handle)
            await scene.sweepAgain()
            _ = await scene.write(2)
            let reasons = try scene.events().map { $0["reason"] }
            #expect(reasons == ["VolumeConditionAbnormal", "VolumeConditionNormal"])
        }
    }

    @Test(.tags(.rule4)) func `without ControllerGetVolume, two complete lists are needed`() async throws {
        try await Scene.run(prepare: Self.healthy([3, 11])) { scene in
            await scene.driver.journal.wait(for: "ListVolumes", count: 1)
            scene.driver.volumes = []
            await scene.sweepAgain()
            await scene.sweepAgain()
            _ = await scene.write(1)
            #expect(scene.driver.journal.calls("ListVolumes").count == 3)
            #expect(scene.driver.journal.calls("ControllerGetVolume").isEmpty)
        }
    }

    /// A volume that was lost while no replica led: no list of this process had it.
    @Test func `a volume that was lost before the monitor started is reported`() async throws {
        let lost = VolumeFixture(number: 1)
        try await Scene.run { scene in
            try Self.healthy([3, 11, 12])(scene)
            try lost.create(in: scene.server)
        } _: { scene in
            let event = await scene.write(1)
            #expect(event != nil)
            let events = try scene.events()
            #expect(events.map { $0["involvedObject", "name"]?.string } == [lost.claimName])
            #expect(scene.driver.journal.calls("ControllerGetVolume").map(\.volumeID) == [lost.handle])
        }
    }

    /// csi-powerflex skips arrays that it cannot reach and returns OK; vsphere-csi-driver#2150 listed nothing after a
    /// start.
    @Test(arguments: [[3, 11, 12], [3, 11]], [0, 10])
    func `an empty or partial list does not count as an absence`(capabilities: [Int], left: Int) async throws {
        let volumes = (0..<20).map { VolumeFixture(number: $0) }
        try await Scene.run { scene in
            scene.driver.configuration.controllerCapabilities = capabilities
            for volume in volumes {
                try volume.create(in: scene.server)
                scene.driver.set(.healthy, ofVolume: volume.handle)
            }
        } _: { scene in
            await scene.driver.journal.wait(for: "ListVolumes", count: 1)
            let all = scene.driver.volumes
            scene.driver.volumes = Array(all.prefix(left))
            try await scene.advance { try !scene.events().isEmpty }
            let suspicion = try scene.events()
            #expect(suspicion.map { $0["reason"] } == ["VolumesVanished"])
            #expect(suspicion.map { $0["type"] } == ["Warning"])
            #expect(suspicion.map { $0["involvedObject", "kind"] } == ["CSIDriver"])
            #expect(suspicion.map { $0["metadata", "namespace"] } == ["default"])
            #expect(suspicion.first?["message"]?.string?.contains("\(20 - left) of 20 volumes") == true)
            scene.driver.volumes = all
            try await scene.advance { try scene.events().count == 2 }
            let reasons = try scene.events().map { $0["reason"] }
            #expect(reasons == ["VolumesVanished", "VolumesFound"])
        }
    }

    @Test func `many missing volumes are believed after the hold`() async throws {
        let volumes = (0..<20).map { VolumeFixture(number: $0) }
        try await Scene.run {
            $0.missingVolumesHold = .seconds(600)
        } prepare: { scene in
            scene.driver.configuration.controllerCapabilities = [3, 11]
            for volume in volumes {
                try volume.create(in: scene.server)
                scene.driver.set(.healthy, ofVolume: volume.handle)
            }
        } _: { scene in
            await scene.driver.journal.wait(for: "ListVolumes", count: 1)
            scene.driver.volumes = []
            for _ in 0..<3 { await scene.sweepAgain() }
            // Events on 20 claims, one for the suspicion and one for its end.
            _ = await scene.write(22)
            let reasons = try scene.events().map { $0["reason"]?.string ?? "" }
            #expect(reasons.count { $0 == "VolumeConditionAbnormal" } == 20)
            #expect(Set(reasons) == ["VolumeConditionAbnormal", "VolumesVanished", "VolumesFound"])
        }
    }

    /// csi-powerstore returns NOT_FOUND for every error of its array.
    @Test func `a confirming call that hangs does not delay lists`() async throws {
        let volumes = (0..<4).map { VolumeFixture(number: $0) }
        try await Scene.run { scene in
            scene.driver.configuration.controllerCapabilities = [3, 11, 12]
            for volume in volumes {
                try volume.create(in: scene.server)
                scene.driver.set(.healthy, ofVolume: volume.handle)
            }
            scene.driver.intercept { call in call.method.hasSuffix("ControllerGetVolume") ? .never : nil }
        } _: { scene in
            await scene.driver.journal.wait(for: "ListVolumes", count: 1)
            scene.driver.volumes = Array(scene.driver.volumes.prefix(1))
            await scene.sweepAgain()
            await scene.driver.journal.wait(for: "ControllerGetVolume", count: 1)
            await scene.sweepAgain()
            scene.driver.set(.abnormal("broken"), ofVolume: volumes[0].handle)
            await scene.sweepAgain()
            _ = await scene.write(1)
            let events = try scene.events()
            #expect(events.map { $0["message"] } == ["broken"])
        }
    }

    @Test(.tags(.rule5)) func `missing volumes are not reported where that is disabled`() async throws {
        try await Scene.run {
            $0.reportsMissingVolumes = false
        } prepare: { scene in
            try Self.healthy([3, 11, 12])(scene)
        } _: { scene in
            await scene.driver.journal.wait(for: "ListVolumes", count: 1)
            scene.driver.volumes = []
            for _ in 0..<3 { await scene.sweepAgain() }
            await scene.driver.journal.wait(for: "ControllerGetVolume", count: 2)
            let events = try scene.events()
            #expect(events.isEmpty)
        }
    }
}
