// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthMonitor
import HealthMonitorTestKit
import Testing

/// Fault 8 of EHM: volumes that are gone are only logged.
@Suite(.timeLimit(.minutes(5))) struct AbsenceTests {
    static let volume = VolumeFixture(number: 0)

    static func healthy(_ capabilities: [Int]) -> (Scene) throws -> Void {
        { scene in
            scene.driver.configuration.controllerCapabilities = capabilities
            try volume.create(in: scene.server)
            scene.driver.set(.healthy, ofVolume: volume.handle)
        }
    }

    @Test func rule4_aVolumeThatVanishesFromTheListIsConfirmedAndTold() async throws {
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

    @Test func rule4_withoutGetVolumeTwoCompleteListsAreNeeded() async throws {
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

    /// The reference driver takes a bound for an index and truncates its list.
    @Test func rule4_aVolumeThatNoListHadIsNotAbsent() async throws {
        try await Scene.run { scene in
            try Self.healthy([3, 11, 12])(scene)
            scene.driver.volumes = []
        } _: { scene in
            await scene.driver.journal.wait(for: "ListVolumes", count: 1)
            for _ in 0..<3 { await scene.sweepAgain() }
            #expect(scene.driver.journal.calls("ControllerGetVolume").isEmpty)
            let events = try scene.events()
            #expect(events.isEmpty)
        }
    }

    @Test func rule5_missingVolumesAreNotToldWhereThatIsSwitchedOff() async throws {
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
