// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import ControllerMonitor
import GRPCTransport
import HealthMonitorTestKit
import HealthRuntime
import Testing

/// Drivers that do not list: volumes are probed one by one.
@Suite(.timeLimit(.minutes(50))) struct GetModeTests {
    static let interval = Duration.seconds(60)

    /// Bound pairs, and a driver with only VOLUME_CONDITION and GET_VOLUME.
    static func volumes(_ count: Int) -> (Scene) throws -> Void {
        { scene in
            scene.driver.configuration.controllerCapabilities = [11, 12]
            for number in 0..<count {
                let volume = VolumeFixture(number: number)
                try volume.create(in: scene.server)
                scene.driver.set(.healthy, ofVolume: volume.handle)
            }
        }
    }

    /// Advances the clock in small steps until `reached`, whenever the monitor sleeps again.
    static func advance(_ scene: Scene, until reached: @Sendable () throws -> Bool) async throws {
        while try !reached() {
            await scene.clock.sleeper(ofAtLeast: .nanoseconds(1), atMost: interval)
            scene.clock.advance(by: .milliseconds(100))
            await pollingPause()
        }
    }

    static func calls(_ scene: Scene) -> [String: Int] {
        scene.driver.journal.calls("ControllerGetVolume").reduce(into: [:]) { $0[$1.volumeID, default: 0] += 1 }
    }

    static func calls(_ scene: Scene, for volume: VolumeFixture) -> Int {
        calls(scene)[volume.handle, default: 0]
    }

    /// Fault 1 of EHM: with its defaults it probes 20 of 2,000 volumes in 70 seconds.
    @Test func `every volume is probed in the first interval and once in each later one`() async throws {
        try await Scene.run(prepare: Self.volumes(300)) { scene in
            for call in 1...900 {
                // To the next slot, and no further before the driver has been called.
                scene.clock.advance(by: await scene.clock.sleeper(ofAtLeast: .nanoseconds(1), atMost: Self.interval))
                await scene.driver.journal.wait(for: "ControllerGetVolume", count: call)
                if call.isMultiple(of: 300) {
                    let calls = Self.calls(scene)
                    #expect(calls.count == 300)
                    #expect(calls.values.allSatisfy { $0 == call / 300 })
                    #expect(scene.clock.now.offset < Self.interval * (call / 300))
                }
            }
        }
    }

    @Test func `that calls failed is over when there are no volumes any more`() async throws {
        try await Scene.set { scene in
            try Self.volumes(1)(scene)
            scene.driver.intercept { call in
                call.method.hasSuffix("ControllerGetVolume") ? .fail(.internal, "no") : nil
            }
            try await scene.monitor { monitor in
                try await scene.advance { monitor.status()?.calls != nil }
                try scene.server.delete(
                    kind: "PersistentVolumeClaim",
                    namespace: "default",
                    name: VolumeFixture(number: 0).claimName
                )
                try await scene.advance { monitor.status()?.calls == nil }
            }
        }
    }

    /// Then a complete round takes longer than two of the intervals that are configured.
    @Test func `a limited rate of calls makes the interval longer for readiness too`() async throws {
        try await Scene.set { scene in
            try Self.volumes(3)(scene)
            var configuration = Scene.configuration
            configuration.probesPerSecond = 0.01
            try await scene.monitor(configuration) { monitor in
                try await scene.advance { monitor.status()?.sweepInterval == .seconds(300) }
            }
        }
    }

    @Test func `an abnormal volume and its recovery are reported`() async throws {
        let volume = VolumeFixture(number: 0)
        try await Scene.run { scene in
            try Self.volumes(3)(scene)
            scene.driver.set(.abnormal("broken"), ofVolume: volume.handle)
        } _: { scene in
            try await Self.advance(scene) { try scene.events().count == 1 }
            scene.driver.set(.healthy, ofVolume: volume.handle)
            try await Self.advance(scene) { try scene.events().count == 2 }
            let events = try scene.events()
            #expect(events.map { $0["reason"] } == ["VolumeConditionAbnormal", "VolumeConditionNormal"])
            #expect(events.map { $0["message"] } == ["broken", "The Volume returns to the healthy state"])
        }
    }

    @Test(.tags(.rule5)) func `a volume is reported after two replies of NOT_FOUND`() async throws {
        try await Scene.run { scene in
            try Self.volumes(1)(scene)
            scene.driver.volumes = []
        } _: { scene in
            try await Self.advance(scene) { try scene.events().count == 1 }
            // On a slow machine the clock may run on before the event is recorded.
            #expect(scene.driver.journal.calls("ControllerGetVolume").count >= 2)
            let event = try #require(try scene.events().first)
            #expect(event["reason"] == "VolumeConditionAbnormal")
            #expect(
                event["message"] == """
                    Inaccessible (VolumeNotFound): The CSI driver does not find the volume \
                    47f67155-a1b9-11eb-8b74-0242ac110003
                    """
            )
        }
    }

    @Test(.tags(.rule1)) func `a failed call does not clear a condition or delay other volumes`() async throws {
        let broken = VolumeFixture(number: 0)
        let other = VolumeFixture(number: 1)
        try await Scene.run { scene in
            try Self.volumes(2)(scene)
            scene.driver.set(.abnormal("broken"), ofVolume: broken.handle)
        } _: { scene in
            try await Self.advance(scene) { try scene.events().count == 1 }
            scene.driver.set(.healthy, ofVolume: broken.handle)
            scene.driver.intercept { call in
                call.volumeID == broken.handle ? .fail(.internal, "backend lost") : nil
            }
            let (failedBefore, before) = (Self.calls(scene, for: broken), Self.calls(scene, for: other))
            try await Self.advance(scene) { Self.calls(scene, for: other) >= before + 4 }
            let events = try scene.events()
            #expect(events.count == 1)
            #expect(Self.calls(scene, for: broken) - failedBefore < 4)
        }
    }

    /// Two at first, and one where the limit is one. How the limit grows is in ProbeConcurrencyTests.
    @Test(arguments: [(workerThreads: 1, calls: 1), (workerThreads: 4, calls: 2)])
    func `at most as many calls as worker threads are in flight, and few at first`(
        workerThreads: Int,
        calls: Int
    ) async throws {
        try await Scene.run {
            $0.workerThreads = workerThreads
        } prepare: { scene in
            try Self.volumes(40)(scene)
            scene.driver.intercept { call in call.method.hasSuffix("ControllerGetVolume") ? .never : nil }
        } _: { scene in
            await scene.clock.sleeper(ofAtLeast: .nanoseconds(1), atMost: Self.interval)
            // All volumes are due now.
            scene.clock.advance(by: Self.interval)
            for call in 1...calls {
                await scene.driver.journal.wait(for: "ControllerGetVolume", count: call)
                scene.clock.advance(by: .seconds(1))
            }
            for _ in 0..<1000 { await Task.yield() }
            #expect(scene.driver.journal.calls("ControllerGetVolume").count == calls)
        }
    }

    @Test func `a new volume is probed at once`() async throws {
        try await Scene.run(prepare: Self.volumes(1)) { scene in
            try await Self.advance(scene) { scene.clock.now.offset > Self.interval }
            let volume = VolumeFixture(number: 7)
            scene.driver.set(.abnormal("broken"), ofVolume: volume.handle)
            try volume.create(in: scene.server)
            // The clock stands still.
            while Self.calls(scene)[volume.handle] == nil { await pollingPause() }
            let event = await scene.write(1)
            #expect(event != nil)
        }
    }

    @Test func `probing continues after the driver restarts`() async throws {
        try await Scene.run(prepare: Self.volumes(2)) { scene in
            try await Self.advance(scene) { Self.calls(scene).count == 2 }
            await scene.driver.stop()
            for number in 0..<2 {
                scene.driver.set(.abnormal("broken"), ofVolume: VolumeFixture(number: number).handle)
            }
            try await Self.advance(scene) { scene.clock.now.offset > Self.interval * 3 }
            try scene.driver.start()
            try await Self.advance(scene) { try scene.events().count == 2 }
            let reasons = try scene.events().map { $0["reason"] }
            #expect(reasons == ["VolumeConditionAbnormal", "VolumeConditionAbnormal"])
        }
    }
}
