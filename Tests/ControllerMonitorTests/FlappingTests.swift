// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import ControllerCore
import ControllerMonitor
import HealthMonitorTestKit
import HealthRuntime
import Testing

/// Hold times and flapping, between a driver and an API server.
@Suite(.timeLimit(.minutes(50))) struct FlappingTests {
    static let volume = VolumeFixture(number: 0)

    private static func configuration(_ holdTimes: HoldTimes = HoldTimes()) -> MonitorConfiguration {
        var configuration = MonitorConfiguration(driverName: "hostpath.csi.k8s.io", identity: "csi-hostpathplugin-0")
        configuration.holdTimes = holdTimes
        return configuration
    }

    /// The driver has LIST_VOLUMES and VOLUME_CONDITION.
    private static func prepare(_ volumes: [VolumeFixture], in scene: Scene) throws {
        scene.driver.configuration.controllerCapabilities = [3, 11]
        for volume in volumes {
            try volume.create(in: scene.server)
            scene.driver.set(.healthy, ofVolume: volume.handle)
        }
    }

    @Test func `a blip is never reported, and a condition is when it has held`() async throws {
        let lasting = VolumeFixture(number: 1)
        try await Scene.run {
            $0.holdTimes = HoldTimes(abnormalAfter: Scene.interval * 2)
        } prepare: { scene in
            try Self.prepare([Self.volume, lasting], in: scene)
            scene.driver.set(.abnormal("blip"), ofVolume: Self.volume.handle)
            scene.driver.set(.abnormal("in the first list"), ofVolume: lasting.handle)
        } _: { scene in
            await scene.swept(1)
            scene.driver.set(.healthy, ofVolume: Self.volume.handle)
            scene.driver.set(.abnormal("in the second list"), ofVolume: lasting.handle)
            await scene.sweepAgain()
            await scene.swept(2)
            scene.driver.set(.abnormal("in the third list"), ofVolume: lasting.handle)
            await scene.sweepAgain()
            _ = await scene.write(1)
            for _ in 0..<3 { await scene.sweepAgain() }
            let events = try scene.events()
            #expect(events.map { $0["message"] } == ["in the third list"])
            // Nor does the status of the other claim show anything.
            let writes = scene.server.journal.records.filter {
                $0.request.verb == .patch && $0.request.name == Self.volume.claimName
            }
            #expect(writes.isEmpty)
        }
    }

    @Test func `a recovery is reported when it has held`() async throws {
        try await Scene.run {
            $0.holdTimes = HoldTimes(recoverAfter: Scene.interval * 2)
        } prepare: { scene in
            try Self.prepare([Self.volume], in: scene)
            scene.driver.set(.abnormal("broken"), ofVolume: Self.volume.handle)
        } _: { scene in
            _ = await scene.write(1)
            scene.driver.set(.healthy, ofVolume: Self.volume.handle)
            await scene.sweepAgain()
            await scene.swept(2)
            scene.driver.set(.abnormal("relapse"), ofVolume: Self.volume.handle)
            await scene.sweepAgain()
            await scene.swept(3)
            scene.driver.set(.healthy, ofVolume: Self.volume.handle)
            for list in 4...6 {
                await scene.sweepAgain()
                await scene.swept(list)
            }
            _ = await scene.write(2)
            // Of the first list in which it was healthy nothing came.
            #expect(scene.driver.journal.calls("ListVolumes").count == 6)
            let reasons = try scene.events().map { $0["reason"] }
            #expect(reasons == ["VolumeConditionAbnormal", "VolumeConditionNormal"])
        }
    }

    /// Sets a condition, lists, and waits until the events with this reason have this count together.
    private static func change(
        _ scene: Scene,
        to condition: SimulatedVolume.Condition,
        expecting count: Int,
        of reason: String
    ) async throws {
        scene.driver.set(condition, ofVolume: volume.handle)
        await scene.sweepAgain()
        try await wait(scene, for: count, of: reason)
    }

    private static func wait(_ scene: Scene, for count: Int, of reason: String) async throws {
        while try total(scene, reason) < count { await pollingPause() }
        let found = try total(scene, reason)
        #expect(found == count)
    }

    private static func total(_ scene: Scene, _ reason: String) throws -> Int {
        let events = try scene.events().filter { $0["reason"]?.string == reason }
        return events.compactMap { $0["count"]?.integer }.reduce(0) { $0 + Int($1) }
    }

    /// Seven changes, of which the last one begins the flapping.
    private static func flap(_ scene: Scene, after earlier: Int, episode: Int) async throws {
        for pair in 1...3 {
            if pair == 1, episode == 1 {
                try await wait(scene, for: 1, of: "VolumeConditionAbnormal")
            } else {
                let count = earlier + pair
                try await change(scene, to: .abnormal("broken"), expecting: count, of: "VolumeConditionAbnormal")
            }
            try await change(scene, to: .healthy, expecting: earlier + pair, of: "VolumeConditionNormal")
        }
        try await change(scene, to: .abnormal("broken"), expecting: episode, of: "VolumeHealthFlapping")
    }

    @Test(.tags(.rule8)) func `a flapping volume is reported once, and then at most every ten minutes`() async throws {
        try await Scene.set { scene in
            try Self.prepare([Self.volume], in: scene)
            scene.driver.set(.abnormal("broken"), ofVolume: Self.volume.handle)
            try await scene.monitor(Self.configuration()) { monitor in
                try await Self.flap(scene, after: 0, episode: 1)
                #expect(monitor.snapshot()?.flappingClaims.map(\.name) == [Self.volume.claimName])
                let flapping = try #require(
                    try scene.events().first { $0["reason"]?.string == "VolumeHealthFlapping" }
                )
                #expect(flapping["type"] == "Warning")
                let message = try #require(flapping["message"]?.string)
                let pattern = /.* changed 7 times since \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ: .* Now: broken/
                #expect(try pattern.wholeMatch(in: message) != nil, "\(message)")
                #expect(try Self.total(scene, "VolumeConditionAbnormal") == 3)
                // Within the pause nothing is reported, at its end the latest state.
                scene.clock.advance(by: .seconds(599))
                for _ in 0..<100 { await pollingPause() }
                #expect(try Self.total(scene, "VolumeConditionAbnormal") == 3)
                scene.clock.advance(by: .seconds(1))
                try await Self.wait(scene, for: 4, of: "VolumeConditionAbnormal")
                // An hour after the last change all is as before.
                try await scene.advance { monitor.snapshot()?.flappingClaims.isEmpty == true }
                let age = try #require(monitor.snapshot()?.unhealthyClaims.first?.age)
                // Of the change that was reported at the end of the pause, not of the first.
                #expect(age < .seconds(3300))
                try await Self.change(scene, to: .healthy, expecting: 4, of: "VolumeConditionNormal")
                #expect(try scene.events().count == 3)
            }
        }
    }

    @Test(.tags(.rule9)) func `another leader raises the count of the event on a flapping volume`() async throws {
        try await Scene.set { scene in
            try Self.prepare([Self.volume], in: scene)
            scene.driver.set(.abnormal("broken"), ofVolume: Self.volume.handle)
            try await scene.monitor(Self.configuration()) { _ in try await Self.flap(scene, after: 0, episode: 1) }
            // What the first one has held back is what the next one reads back as reported.
            scene.driver.set(.healthy, ofVolume: Self.volume.handle)
            let lists = scene.driver.journal.calls("ListVolumes").count
            try await scene.monitor(Self.configuration()) { _ in
                await scene.driver.journal.wait(for: "ListVolumes", count: lists + 1)
                try await Self.flap(scene, after: 3, episode: 2)
            }
            let flapping = try scene.events().filter { $0["reason"]?.string == "VolumeHealthFlapping" }
            #expect(flapping.map { $0["count"] } == [2])
        }
    }
}

extension Scene {
    /// Returns when the monitor has received so many lists.
    fileprivate func swept(_ count: Int) async {
        while observations.all.count(where: { if case .sweepCompleted = $0 { true } else { false } }) < count {
            await pollingPause()
        }
    }
}
