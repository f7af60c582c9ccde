// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import ControllerMonitor
import GRPCTransport
import HealthMonitorTestKit
import HealthRuntime
import Testing

/// Drivers of CSI 1.13.
@Suite(.timeLimit(.minutes(50))) struct VolumeHealthTests {
    static let volume = VolumeFixture(number: 0)
    typealias Entry = SimulatedVolume.HealthEntry

    static func oneVolume(
        _ health: [Entry],
        capabilities: [Int] = SimulatedDriver.Configuration.healthCapabilities
    ) -> (Scene) throws -> Void {
        { scene in
            scene.driver.configuration.controllerCapabilities = capabilities
            try volume.create(in: scene.server)
            scene.driver.set(health: health, ofVolume: volume.handle)
        }
    }

    /// Advances to the next list.
    ///
    /// - Parameter least: A bound that is longer than all other waits and shorter than the wait for the list.
    static func list(_ scene: Scene, again count: Int, ofAtLeast least: Duration = .milliseconds(1)) async {
        scene.clock.advance(by: await scene.clock.sleeper(ofAtLeast: least, atMost: Scene.interval))
        await scene.driver.journal.wait(for: "ControllerListVolumeHealth", count: count)
    }

    @Test func `one event reports all conditions, the worst first`() async throws {
        let entries = [
            Entry(status: 1, reason: "Slow", message: "a disk is missing"),
            Entry(status: 3, reason: "BadBlocks", message: "7 blocks"), Entry(status: 2, reason: "NoPath"),
        ]
        try await Scene.run(prepare: Self.oneVolume(entries)) { scene in
            _ = await scene.write(1)
            let events = try scene.events()
            #expect(events.count == 1)
            #expect(events.first?["reason"] == "VolumeConditionAbnormal")
            #expect(
                events.first?["message"]
                    == "DataLoss (BadBlocks): 7 blocks; Inaccessible (NoPath); Degraded (Slow): a disk is missing"
            )
        }
    }

    @Test(.tags(.rule4)) func `a volume left out of the list is confirmed to be healthy`() async throws {
        try await Scene.run(prepare: Self.oneVolume([Entry(status: 2, reason: "NoPath")])) { scene in
            _ = await scene.write(1)
            scene.driver.set(health: [], ofVolume: Self.volume.handle)
            await Self.list(scene, again: 2)
            _ = await scene.write(2)
            #expect(scene.driver.journal.calls("ControllerGetVolumeHealth").map(\.volumeID) == [Self.volume.handle])
            let reasons = try scene.events().map { $0["reason"] }
            #expect(reasons == ["VolumeConditionAbnormal", "VolumeConditionNormal"])
        }
    }

    /// Fault 11 of EHM: a reply without volume_health clears conditions.
    @Test(.tags(.rule1), arguments: [[], [0x0A, 7, 0x0A, 5] + Array("other".utf8)] as [[UInt8]])
    func `a reply without the volume's health clears nothing`(reply: [UInt8]) async throws {
        try await Scene.run(prepare: Self.oneVolume([Entry(status: 2, reason: "NoPath")])) { scene in
            _ = await scene.write(1)
            scene.driver.set(health: [], ofVolume: Self.volume.handle)
            scene.driver.intercept { call in
                call.method.hasSuffix("ControllerGetVolumeHealth") ? .reply(reply) : nil
            }
            for count in 2...4 {
                await Self.list(scene, again: count)
                await scene.driver.journal.wait(for: "ControllerGetVolumeHealth", count: count - 1)
            }
            let events = try scene.events()
            #expect(events.count == 1)
            // A reply with the volume's health counts.
            scene.driver.intercept(nil)
            await Self.list(scene, again: 5)
            _ = await scene.write(2)
        }
    }

    @Test(.tags(.rule4)) func `a driver that can only list needs two lists to clear a condition`() async throws {
        try await Scene.run(prepare: Self.oneVolume([Entry(status: 2, reason: "NoPath")], capabilities: [17])) {
            scene in
            _ = await scene.write(1)
            scene.driver.set(health: [], ofVolume: Self.volume.handle)
            await Self.list(scene, again: 2)
            await Self.list(scene, again: 3)
            _ = await scene.write(2)
            #expect(scene.driver.journal.calls("ControllerGetVolumeHealth").isEmpty)
        }
    }

    @Test func `a driver with both generations is probed with the new one`() async throws {
        try await Scene.run(
            prepare: Self.oneVolume([Entry(status: 2, reason: "NoPath")], capabilities: [3, 11, 12, 16, 17])
        ) { scene in
            _ = await scene.write(1)
            #expect(scene.driver.journal.calls("ListVolumes").isEmpty)
        }
    }

    @Test func `a driver that can only get is probed volume by volume`() async throws {
        try await Scene.run(
            prepare: Self.oneVolume([Entry(status: 1, reason: "Slow", message: "m")], capabilities: [16])
        ) { scene in
            scene.clock.advance(by: await scene.clock.sleeper(ofAtLeast: .nanoseconds(1), atMost: .seconds(60)))
            _ = await scene.write(1)
            let messages = try scene.events().map { $0["message"] }
            #expect(messages == ["Degraded (Slow): m"])
            #expect(scene.driver.journal.calls("ControllerListVolumeHealth").isEmpty)
        }
    }

    /// A live upgrade: the driver gains the new RPCs between two lists.
    @Test func `a driver that is upgraded is probed with the new generation`() async throws {
        try await Scene.run { scene in
            try Self.oneVolume([], capabilities: [3, 11, 12])(scene)
        } _: { scene in
            await scene.driver.journal.wait(for: "ListVolumes", count: 1)
            scene.driver.configuration.controllerCapabilities = [16, 17]
            scene.driver.set(health: [Entry(status: 3, reason: "Gone")], ofVolume: Self.volume.handle)
            await Self.list(scene, again: 1)
            _ = await scene.write(1)
            let messages = try scene.events().map { $0["message"] }
            #expect(messages == ["DataLoss (Gone)"])
        }
    }

    @Test(.tags(.rule6)) func `a condition of an unknown type is reported once and does not count as healthy`()
        async throws
    {
        try await Scene.run(prepare: Self.oneVolume([Entry(status: 2, reason: "NoPath")])) { scene in
            _ = await scene.write(1)
            scene.driver.set(health: [Entry(status: 9, reason: "New", message: "m")], ofVolume: Self.volume.handle)
            for count in 2...4 { await Self.list(scene, again: count) }
            _ = await scene.write(2)
            let events = try scene.events()
            #expect(events.map { $0["reason"] } == ["VolumeConditionAbnormal", "UnknownVolumeHealthCondition"])
            #expect(events.last?["type"] == "Warning")
            #expect(events.last?["message"] == "Unknown health type 9 (New): m")
            #expect(events.last?["count"] == 1)
            #expect(scene.observations.all.contains(.unknownCondition(type: 9)))
        }
    }

    @Test(.tags(.rule2)) func `a list that fails on page 37 clears nothing and reports what it found`() async throws {
        let volumes = (1...40).map { VolumeFixture(number: $0) }
        try await Scene.run { scene in
            scene.driver.configuration.controllerCapabilities = [16, 17]
            scene.driver.configuration.pageSize = 1
            scene.driver.configuration.listsHealthyVolumes = true
            for volume in volumes {
                try volume.create(in: scene.server)
                scene.driver.set(
                    health: volume == volumes[38] ? [Entry(status: 1, reason: "A")] : [],
                    ofVolume: volume.handle
                )
            }
        } _: { scene in
            _ = await scene.write(1)
            scene.driver.set(health: [], ofVolume: volumes[38].handle)
            scene.driver.set(health: [Entry(status: 1, reason: "B")], ofVolume: volumes[0].handle)
            scene.driver.intercept { call in call.startingToken == "36" ? .fail(.internal, "lost") : nil }
            await Self.list(scene, again: 40 + 37)
            _ = await scene.write(2)
            let events = try scene.events()
            #expect(events.map { $0["message"] } == ["Degraded (A)", "Degraded (B)"])
            #expect(scene.driver.journal.calls("ControllerGetVolumeHealth").isEmpty)
        }
    }

    @Test(.tags(.rule2)) func `conditions of one volume on several pages are merged`() async throws {
        try await Scene.run { scene in
            try Self.oneVolume([])(scene)
            // { volume_id, [DEGRADED (A)] } and { volume_id, [] }, { volume_id, [DATA_LOSS (B)] }
            let id = [0x0A, UInt8(Self.volume.handle.utf8.count)] + Array(Self.volume.handle.utf8)
            func entry(_ status: UInt8, _ reason: UInt8) -> [UInt8] {
                let health = id + [0x12, 5, 0x08, status, 0x12, 1, reason]
                return [0x0A, UInt8(health.count)] + health
            }
            let first = entry(1, 0x41) + [0x12, 1, 0x78]
            let second = [0x0A, UInt8(id.count)] + id + entry(3, 0x42)
            scene.driver.intercept { call in
                guard call.method.hasSuffix("ControllerListVolumeHealth") else { return nil }
                return .reply(call.startingToken.isEmpty ? first : second)
            }
        } _: { scene in
            while try scene.events().last?["message"] != "DataLoss (B); Degraded (A)" { await pollingPause() }
            let events = try scene.events()
            #expect(events.allSatisfy { $0["reason"] == "VolumeConditionAbnormal" })
        }
    }

    @Test func `a condition without a reason is Unspecified and counted`() async throws {
        try await Scene.run(prepare: Self.oneVolume([Entry(status: 1, reason: "", message: "m")])) { scene in
            _ = await scene.write(1)
            let messages = try scene.events().map { $0["message"] }
            #expect(messages == ["Degraded (Unspecified): m"])
            #expect(scene.observations.all.contains(.unspecifiedReason))
        }
    }
}
