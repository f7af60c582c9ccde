// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import ControllerCore
import ControllerMonitor
import GRPCTransport
import HealthCore
import HealthMonitorTestKit
import HealthRuntime
import Testing

/// A leader that cannot probe or watch releases the lease.
@Suite(.timeLimit(.minutes(50))) struct BlindnessTests {
    private static let volume = VolumeFixture(number: 0)

    private static func run(
        monitorInterval: Duration = .seconds(60),
        prepare: (Scene) throws -> Void = { _ in },
        _ body: @escaping @Sendable (Scene, Terms, HealthMonitor) async throws -> Void
    ) async throws {
        var configuration = MonitorConfiguration(driverName: "hostpath.csi.k8s.io", identity: "csi-hostpathplugin-0")
        configuration.dependencyTimeout = .seconds(30)
        configuration.monitorInterval = monitorInterval
        configuration.driverCheckInterval = .seconds(10)
        configuration.permissionCheckInterval = .seconds(15)
        try await Scene.set { scene in
            try volume.create(in: scene.server)
            scene.driver.set(.healthy, ofVolume: volume.handle)
            try prepare(scene)
            let terms = Terms()
            try await scene.monitor(configuration, terms: terms) { try await body(scene, terms, $0) }
        }
    }

    /// Advances the clock until the term has ended by itself. Returns why.
    private static func stepDown(_ scene: Scene, _ terms: Terms) async throws -> DependencyError {
        let began = scene.clock.now
        try await scene.advance { terms.dependencyError != nil }
        #expect(scene.clock.now.offset - began.offset >= .seconds(30))
        return try #require(terms.takeDependencyError())
    }

    @Test func `a driver that exits ends the term, and the next one begins when it responds again`() async throws {
        try await Self.run { scene, terms, monitor in
            terms.begin()
            await scene.driver.journal.wait(for: "ListVolumes", count: 1)
            await scene.driver.stop()
            let error = try await Self.stepDown(scene, terms)
            #expect(error.dependency == .driver)
            #expect(error.description.contains("no socket"))
            #expect(!monitor.isReadyToLead)
            #expect(monitor.snapshot() == nil)
            try scene.driver.start()
            try await scene.advance { monitor.isReadyToLead }
            let lists = scene.driver.journal.calls("ListVolumes").count
            terms.begin()
            await scene.driver.journal.wait(for: "ListVolumes", count: lists + 1)
        }
    }

    @Test func `a driver that hangs is noticed before the next list`() async throws {
        try await Self.run { scene, terms, _ in
            terms.begin()
            await scene.driver.journal.wait(for: "ListVolumes", count: 1)
            scene.driver.intercept { call in
                call.method.hasSuffix("Probe") ? .fail(.deadlineExceeded, "Deadline Exceeded") : nil
            }
            let error = try await Self.stepDown(scene, terms)
            #expect(error.dependency == .driver)
            #expect(scene.driver.journal.calls("ListVolumes").count == 1)
        }
    }

    @Test func `a driver that responds only to Probe ends the term`() async throws {
        try await Self.run { scene, terms, _ in
            scene.driver.intercept { call in call.method.hasSuffix("GetPluginInfo") ? .fail(.internal, "no") : nil }
            terms.begin()
            let error = try await Self.stepDown(scene, terms)
            #expect(error.dependency == .driver)
            #expect(error.description.contains("GetPluginInfo"))
        }
    }

    @Test func `lists that all fail end the term, and the replica stays unfit to lead for five minutes`() async throws {
        try await Self.run { scene, terms, monitor in
            scene.driver.intercept { call in
                call.method.hasSuffix("ListVolumes") ? .fail(.internal, "array unreachable") : nil
            }
            terms.begin()
            let error = try await Self.stepDown(scene, terms)
            #expect(error.dependency == .calls)
            #expect(error.description.contains("array unreachable"))
            #expect(!monitor.isReadyToLead)
            scene.driver.intercept(nil)
            let (began, lists) = (scene.clock.now, scene.driver.journal.calls("ListVolumes").count)
            try await scene.advance { monitor.isReadyToLead }
            #expect(scene.clock.now.offset - began.offset > .seconds(200))
            #expect(scene.driver.journal.calls("ListVolumes").count == lists)
        }
    }

    @Test func `the term ends when all probes fail, not when some do`() async throws {
        let others = (1..<8).map { VolumeFixture(number: $0) }
        let other = others[0]
        // So long that on a busy machine no call takes a quarter of it on the manual clock.
        try await Self.run(monitorInterval: .seconds(1200)) { scene in
            scene.driver.configuration.controllerCapabilities = [11, 12]
            for volume in others {
                try volume.create(in: scene.server)
                scene.driver.set(.healthy, ofVolume: volume.handle)
            }
        } _: { scene, terms, monitor in
            // All volumes but one fail: for most of an interval no call succeeds.
            scene.driver.intercept { call in
                call.method.hasSuffix("ControllerGetVolume") && call.volumeID != other.handle
                    ? .fail(.internal, "no") : nil
            }
            terms.begin()
            try await scene.advance { GetModeTests.calls(scene, for: other) >= 5 }
            #expect(terms.dependencyError == nil)
            #expect(monitor.status()?.calls == nil)
            scene.driver.intercept { call in call.method.hasSuffix("ControllerGetVolume") ? .fail(.internal, "no") : nil
            }
            try await scene.advance { terms.dependencyError != nil }
            #expect(terms.takeDependencyError()?.dependency == .calls)
        }
    }

    @Test(arguments: ["persistentvolumes", "persistentvolumeclaims"], [401, 403])
    func `refused watches end the term`(resource: String, code: Int) async throws {
        try await Self.run { scene, terms, monitor in
            let error = StatusError(code: code, reason: code == 401 ? "Unauthorized" : "Forbidden", message: "no")
            scene.server.intercept { $0.resource == resource ? .fail(error, headers: [:]) : nil }
            terms.begin()
            // A watch delays its attempts on a clock of its own.
            try await scene.advance { terms.dependencyError != nil }
            #expect(terms.takeDependencyError()?.dependency == (resource == "persistentvolumes" ? .volumes : .claims))
            #expect(!monitor.isReadyToLead)
            scene.server.intercept(nil)
            try await scene.advance { monitor.isReadyToLead }
        }
    }

    @Test(arguments: ["persistentvolumes", "persistentvolumeclaims"])
    func `a rule that is removed while the watches stay open ends the term`(resource: String) async throws {
        try await Self.run { scene, terms, monitor in
            terms.begin()
            await scene.driver.journal.wait(for: "ListVolumes", count: 1)
            let error = StatusError(code: 403, reason: "Forbidden", message: "no")
            // Only new requests are refused: the watches stay open.
            scene.server.intercept { $0.resource == resource ? .fail(error, headers: [:]) : nil }
            let watches = scene.server.journal.records.count { $0.request.verb == .watch }
            let reason = try await Self.stepDown(scene, terms)
            #expect(reason.dependency == (resource == "persistentvolumes" ? .volumes : .claims))
            #expect(scene.server.journal.records.count { $0.request.verb == .watch } == watches)
            #expect(!monitor.isReadyToLead)
            scene.server.intercept(nil)
            try await scene.advance { monitor.isReadyToLead }
        }
    }

    @Test func `volumes become stale while no list is complete`() async throws {
        try await Scene.set { scene in
            let unhealthy = VolumeFixture(number: 1)
            for volume in [Self.volume, unhealthy] { try volume.create(in: scene.server) }
            scene.driver.set(.healthy, ofVolume: Self.volume.handle)
            scene.driver.set(.abnormal("broken"), ofVolume: unhealthy.handle)
            try await scene.monitor { monitor in
                func counts() -> [Int?] {
                    let snapshot = monitor.snapshot()
                    return [snapshot?.healthyVolumes, snapshot?.unhealthyVolumes, snapshot?.staleVolumes]
                }
                try await scene.advance { counts() == [1, 1, 0] && monitor.status()?.sweepAge != nil }
                #expect(monitor.status()?.watches.count == 2)
                #expect(monitor.status()?.watches.allSatisfy { $0.silence != nil && $0.failure == nil } == true)
                scene.driver.intercept { call in call.method.hasSuffix("ListVolumes") ? .fail(.internal, "no") : nil }
                try await scene.advance { counts() == [0, 1, 1] }
                #expect((monitor.status()?.sweepAge ?? .zero) > .seconds(600))
                try await scene.advance { counts() == [0, 0, 2] }
                #expect((monitor.status()?.sweepAge ?? .zero) > .seconds(1500))
                scene.driver.intercept(nil)
                try await scene.advance { counts() == [1, 1, 0] }
            }
        }
    }

    @Test func `a volume that cannot be probed is visible and makes no other volume stale`() async throws {
        let other = VolumeFixture(number: 1)
        try await Self.run(monitorInterval: .seconds(300)) { scene in
            scene.driver.configuration.controllerCapabilities = [11, 12]
            try other.create(in: scene.server)
            scene.driver.set(.healthy, ofVolume: other.handle)
        } _: { scene, terms, monitor in
            terms.begin()
            try await scene.advance { monitor.snapshot()?.healthyVolumes == 2 }
            scene.driver.intercept { call in call.volumeID == Self.volume.handle ? .fail(.internal, "no") : nil }
            // On a slow machine the clock may pass the end of some intervals before the driver has responded: these do
            // not count as rounds, and the other volume is stale for a while.
            try await scene.advance {
                guard let snapshot = monitor.snapshot(), !snapshot.unresponsiveClaims.isEmpty else { return false }
                return snapshot.lastRound.map { [$0.volumes, $0.responses] } == [2, 1]
                    && [snapshot.healthyVolumes, snapshot.staleVolumes] == [1, 1]
                    && (monitor.status()?.sweepAge ?? .seconds(3600)) < .seconds(900)
            }
            let snapshot = try #require(monitor.snapshot())
            #expect(snapshot.unresponsiveClaims.map(\.claim.name) == [Self.volume.claimName])
            #expect(snapshot.unresponsiveClaims.allSatisfy { $0.age > .seconds(1500) })
            #expect(terms.dependencyError == nil)
            scene.driver.intercept(nil)
            try await scene.advance { monitor.snapshot()?.unresponsiveClaims.isEmpty == true }
        }
    }

    @Test func `a claim whose volume cannot be probed gets one event, and one when it can be probed again`()
        async throws
    {
        let other = VolumeFixture(number: 1)
        try await Self.run(monitorInterval: .seconds(300)) { scene in
            scene.driver.configuration.controllerCapabilities = [11, 12]
            try other.create(in: scene.server)
            scene.driver.set(.healthy, ofVolume: other.handle)
        } _: { scene, terms, monitor in
            func events() throws -> [[String?]] {
                try scene.events().map { event in
                    [event["involvedObject", "name"]?.string, event["type"]?.string, event["reason"]?.string]
                }
            }
            terms.begin()
            try await scene.advance { monitor.snapshot()?.healthyVolumes == 2 }
            let began = scene.clock.now.offset
            scene.driver.intercept { call in call.volumeID == Self.volume.handle ? .fail(.internal, "no") : nil }
            try await scene.advance { try !events().isEmpty }
            #expect(scene.clock.now.offset - began > .seconds(15 * 60 - 60))
            #expect(try events() == [[Self.volume.claimName, "Warning", "VolumeHealthUnknown"]])
            // A new leader knows what was reported, and that it has not ended.
            await terms.end()
            terms.begin()
            try await scene.advance { monitor.snapshot()?.unresponsiveClaims.isEmpty == false }
            #expect(try events().count == 1)
            scene.driver.intercept(nil)
            try await scene.advance { try events().count == 2 }
            #expect(try events().last == [Self.volume.claimName, "Normal", "VolumeHealthKnown"])
        }
    }

    @Test func `without the timeout, a leader keeps the lease`() async throws {
        try await Scene.set { scene in
            try Self.volume.create(in: scene.server)
            let terms = Terms()
            try await scene.monitor(terms: terms) { _ in
                scene.driver.intercept { call in call.method.hasSuffix("ListVolumes") ? .fail(.internal, "no") : nil }
                terms.begin()
                try await scene.advance { scene.driver.journal.calls("ListVolumes").count >= 6 }
                #expect(terms.dependencyError == nil)
                #expect(scene.clock.now.offset > .seconds(60))
            }
        }
    }
}
