// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import ControllerCore
import ControllerMonitor
import HealthMonitorTestKit
import HealthRuntime
import InMemoryLogging
import Testing

/// Outages of a driver with 40 volumes, one half of them in zone a, the other in zone b.
@Suite(.timeLimit(.minutes(50))) struct OutageRollUpTests {
    private static let volumes = (1...40).map { VolumeFixture(number: $0) }
    private static let zoneB = Array(volumes.suffix(20))

    private static var configuration: MonitorConfiguration {
        var configuration = Scene.configuration
        configuration.outageLimits = OutageLimits()
        return configuration
    }

    private static func prepare(_ capabilities: [Int] = [3, 11]) -> (Scene) throws -> Void {
        { scene in
            scene.driver.configuration.controllerCapabilities = capabilities
            try scene.server.create([
                "apiVersion": "storage.k8s.io/v1", "kind": "CSIDriver", "metadata": ["name": "hostpath.csi.k8s.io"],
            ])
            for volume in volumes {
                try volume.create(in: scene.server)
                try scene.server.patch(
                    kind: "PersistentVolume",
                    name: volume.volumeName,
                    NodeDeploymentTests.affinity(zoneB.contains(volume) ? "b" : "a")
                )
                scene.driver.set(.healthy, ofVolume: volume.handle)
            }
        }
    }

    private static func run(
        _ capabilities: [Int] = [3, 11],
        _ body: @escaping @Sendable (Scene) async throws -> Void
    ) async throws {
        try await Scene.run {
            $0.outageLimits = OutageLimits()
        } prepare: { scene in
            try prepare(capabilities)(scene)
        } _: { scene in
            try await body(scene)
        }
    }

    private static func breakZoneB(in scene: Scene) {
        for volume in zoneB { scene.driver.set(.abnormal("unreachable"), ofVolume: volume.handle) }
    }

    private static func repair(in scene: Scene) {
        for volume in zoneB { scene.driver.set(.healthy, ofVolume: volume.handle) }
    }

    /// The events on the CSIDriver, in the order of their creation.
    private static func driverEvents(in scene: Scene) throws -> [JSONValue] {
        try scene.events().filter { $0["involvedObject", "kind"] == "CSIDriver" }
    }

    private static func claimEvents(in scene: Scene, reason: JSONValue) throws -> Int {
        try scene.events().count { $0["involvedObject", "kind"] == "PersistentVolumeClaim" && $0["reason"] == reason }
    }

    @Test func `an outage is one event on the driver before those of the claims, and another one at its end`()
        async throws
    {
        try await Self.run { scene in
            await scene.driver.journal.wait(for: "ListVolumes", count: 1)
            Self.breakZoneB(in: scene)
            await scene.sweepAgain()
            let first = await scene.write(1)
            #expect(first?.request.body?["reason"] == "DriverOutage")
            _ = await scene.write(21)
            #expect(try Self.claimEvents(in: scene, reason: "VolumeConditionAbnormal") == 20)
            let outage = try #require(try Self.driverEvents(in: scene).first)
            #expect(outage["type"] == "Warning")
            #expect(outage["metadata", "namespace"] == "default")
            #expect(outage["involvedObject", "name"] == "hostpath.csi.k8s.io")
            #expect(outage["involvedObject", "uid"]?.string?.isEmpty == false)
            let message = try #require(outage["message"]?.string)
            let expected =
                /20 of 40 volumes unhealthy since 20\d\d-\d\d-\d\dT[\d:]+Z: Degraded \(VolumeConditionAbnormal\) 20; all in topology.hostpath.csi\/node b/
            #expect(message.wholeMatch(of: expected) != nil, "\(message)")

            Self.repair(in: scene)
            await scene.sweepAgain()
            _ = await scene.write(42)
            #expect(try Self.claimEvents(in: scene, reason: "VolumeConditionNormal") == 20)
            await scene.sweepAgain()
            let events = try Self.driverEvents(in: scene)
            #expect(events.map { $0["reason"] } == ["DriverOutage", "DriverOutageEnded"])
            #expect(events.map { $0["count"] } == [1, 1])
            #expect(events.last?["type"] == "Normal")
            #expect(events.last?["message"] == "The outage lasted 5m; no volume is unhealthy")
            let lines = scene.log.entries.map { "\($0.message)" }
            #expect(lines.count { $0 == "Many volumes have turned unhealthy together, the driver has an outage" } == 1)
            #expect(lines.count { $0 == "The outage of the driver has ended" } == 1)
        }
    }

    @Test func `volumes that are probed one by one have outages too`() async throws {
        try await Self.run([11, 12]) { scene in
            try await scene.advance { scene.driver.journal.calls("ControllerGetVolume").count >= 40 }
            Self.breakZoneB(in: scene)
            try await scene.advance { try Self.claimEvents(in: scene, reason: "VolumeConditionAbnormal") == 20 }
            let count = try Self.driverEvents(in: scene).count
            #expect(count == 1)
            try await scene.advance {
                let message = try Self.driverEvents(in: scene).first?["message"]?.string ?? ""
                return message.hasPrefix("20 of 40 volumes unhealthy since")
            }
            Self.repair(in: scene)
            try await scene.advance { try Self.driverEvents(in: scene).count == 2 }
            let reasons = try Self.driverEvents(in: scene).map { $0["reason"] }
            #expect(reasons == ["DriverOutage", "DriverOutageEnded"])
        }
    }

    @Test func `an event on the driver that is refused delays no claim`() async throws {
        try await Self.run { scene in
            await scene.driver.journal.wait(for: "ListVolumes", count: 1)
            scene.server.intercept { request in
                guard request.verb == .create, request.body?["involvedObject", "kind"] == "CSIDriver" else {
                    return nil
                }
                return .fail(StatusError(code: 403, reason: "Forbidden", message: "events is forbidden"), headers: [:])
            }
            Self.breakZoneB(in: scene)
            await scene.sweepAgain()
            // The clock stands still.
            _ = await scene.write(20)
            #expect(try Self.claimEvents(in: scene, reason: "VolumeConditionAbnormal") == 20)
            scene.server.intercept(nil)
            try await scene.advance { try !Self.driverEvents(in: scene).isEmpty }
        }
    }

    @Test func `the snapshot has the outage and the share of unhealthy volumes`() async throws {
        try await Scene.set { scene in
            try Self.prepare()(scene)
            try await scene.monitor(Self.configuration) { monitor in
                try await scene.advance { monitor.snapshot()?.unhealthyRatio == 0 }
                #expect(monitor.snapshot()?.outage == nil)
                Self.breakZoneB(in: scene)
                await scene.sweepAgain()
                try await scene.advance { monitor.snapshot()?.outage != nil }
                #expect(monitor.snapshot()?.unhealthyRatio == 0.5)
                #expect(monitor.snapshot()?.outage?.outage.unhealthy == 20)
            }
        }
    }

    @Test(.tags(.rule9)) func `a new leader adds no second event, and ends the outage once`() async throws {
        try await Scene.set { scene in
            try Self.prepare()(scene)
            Self.breakZoneB(in: scene)
            let terms = Terms()
            try await scene.monitor(Self.configuration, terms: terms) { monitor in
                terms.begin()
                _ = await scene.write(21)
                try await scene.advance { monitor.snapshot()?.events.depth == 0 }
                let since = try Self.driverEvents(in: scene).first?["message"]?.string?.firstMatch(of: /since [^:]+/)
                await terms.change()
                // Its numbers are refreshed once.
                try await scene.advance { try Self.driverEvents(in: scene).first?["count"] != 1 }
                #expect(monitor.snapshot()?.outage != nil)
                let events = try Self.driverEvents(in: scene)
                #expect(events.map { $0["reason"] } == ["DriverOutage"])
                let later = events.first?["message"]?.string?.firstMatch(of: /since [^:]+/)
                #expect(since?.output == later?.output)

                // It ends while no replica leads.
                await terms.end()
                Self.repair(in: scene)
                terms.begin()
                try await scene.advance { try Self.driverEvents(in: scene).count == 2 }
                await terms.change()
                for _ in 0..<2 { await scene.sweepAgain() }
                let ended = try Self.driverEvents(in: scene)
                #expect(ended.map { $0["reason"] } == ["DriverOutage", "DriverOutageEnded"])
                #expect(ended.last?["count"] == 1)
            }
        }
    }
}
