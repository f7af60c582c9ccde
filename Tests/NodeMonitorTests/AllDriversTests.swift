// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import GRPCTransport
import HealthMonitorTestKit
import NodeMonitor
import Testing

/// One agent for all drivers that are registered with the kubelet.
@Suite(.timeLimit(.minutes(50))) struct AllDriversTests {
    /// A driver and its registrar.
    private struct Registered: Sendable {
        let name: String
        let driver: SimulatedDriver
        let registrar: SimulatedPluginRegistration
        var volume: VolumeFixture

        init(_ name: String, number: Int, in scene: NodeScene, _ configuration: SimulatedDriver.Configuration) {
            self.name = "\(name).csi.k8s.io"
            var configuration = configuration
            configuration.name = self.name
            driver = SimulatedDriver(socket: "\(scene.root)/plugins/\(name).sock", configuration: configuration)
            registrar = SimulatedPluginRegistration(
                socket: "\(scene.root)/plugins_registry/\(name)-reg.sock",
                info: .init(name: self.name, endpoint: driver.socket)
            )
            volume = VolumeFixture(number: number, driverName: self.name)
        }

        func start() throws {
            try driver.start()
            try registrar.start()
        }

        func stop() async {
            await registrar.stop()
            await driver.stop()
        }

        /// Creates a pod with a volume of the driver, which is abnormal.
        func createPod(in scene: NodeScene) throws {
            try volume.create(in: scene.server)
            driver.set(nodeCondition: .abnormal("gone"), ofVolume: volume.handle)
            driver.set(nodeHealth: [.init(status: 2, reason: "MountLost")], ofVolume: volume.handle)
            try PodFixture(name: "app-\(name)", nodeName: NodeScene.node, claimNames: [volume.claimName])
                .create(in: scene.server)
        }
    }

    private static func run(
        only: Set<String> = [],
        except: Set<String> = [],
        _ body: @escaping @Sendable (NodeScene, [Registered], NodeMonitor) async throws -> Void
    ) async throws {
        try await NodeScene.set { scene in
            let drivers = [
                Registered("a", number: 1, in: scene, .legacyNode), Registered("b", number: 2, in: scene, .healthNode),
                Registered("c", number: 3, in: scene, .legacyNode),
            ]
            for driver in drivers {
                try driver.start()
                try driver.createPod(in: scene)
            }
            do {
                try await scene.monitor {
                    $0.drivers = .registered(only: only, except: except)
                    $0.kubeletRootPath = scene.root
                } _: { monitor in
                    try await body(scene, drivers, monitor)
                }
            } catch {
                for driver in drivers { await driver.stop() }
                throw error
            }
            for driver in drivers { await driver.stop() }
        }
    }

    @Test func `every registered driver is monitored, whatever its generation`() async throws {
        try await Self.run { scene, drivers, monitor in
            try await scene.advance(untilEvents: 3)
            let components = try scene.events().compactMap { $0["source", "component"]?.string }
            #expect(
                components.sorted() == [
                    "csi-pv-monitor-agent-a.csi.k8s.io", "csi-pv-monitor-agent-b.csi.k8s.io",
                    "csi-pv-monitor-agent-c.csi.k8s.io",
                ]
            )
            let status = monitor.status()
            #expect(status.drivers.map(\.name) == ["a.csi.k8s.io", "b.csi.k8s.io", "c.csi.k8s.io"])
            let (legacy, health) = ("NodeGetVolumeStats", "NodeGetVolumeHealth")
            #expect(status.drivers.map(\.method) == [legacy, health, legacy])
            #expect(status.drivers.allSatisfy { $0.isConnected && $0.isSupported == true })
            #expect(scene.requests(for: "pods", .watch).count == 1)
            // The kubelet alone confirms a registration.
            #expect(
                drivers.flatMap(\.registrar.journal.records).allSatisfy {
                    $0.method == "/pluginregistration.Registration/GetInfo"
                }
            )
        }
    }

    @Test(.tags(.rule10)) func `a driver that is gone stops no other`() async throws {
        try await Self.run { scene, drivers, monitor in
            await drivers[1].driver.stop()
            try await scene.advance(untilEvents: 2)
            try await scene.advance { monitor.status().drivers.map(\.isConnected) == [true, false, true] }
            #expect(monitor.status().drivers[1].failure != nil)
            try drivers[1].driver.start()
            try await scene.advance(untilEvents: 3)
        }
    }

    @Test(.tags(.rule10)) func `a driver that responds to nothing stops no other`() async throws {
        try await Self.run { scene, drivers, _ in
            drivers[0].driver.intercept { _ in .never }
            try await scene.advance(untilEvents: 2)
            let components = try scene.events().compactMap { $0["source", "component"]?.string }
            #expect(!components.contains("csi-pv-monitor-agent-a.csi.k8s.io"))
        }
    }

    @Test func `drivers are chosen by name`() async throws {
        let (only, except): (Set, Set) = (["a.csi.k8s.io", "b.csi.k8s.io"], ["b.csi.k8s.io"])
        try await Self.run(only: only, except: except) { scene, drivers, monitor in
            try await scene.advance(untilEvents: 1)
            #expect(monitor.status().drivers.map(\.name) == ["a.csi.k8s.io"])
            #expect(drivers[1].driver.journal.records.isEmpty)
            #expect(drivers[2].driver.journal.records.isEmpty)
        }
    }

    @Test func `a driver that is registered later is monitored, and one that is gone no longer`() async throws {
        try await Self.run { scene, drivers, monitor in
            try await scene.advance(untilEvents: 3)
            await drivers[2].stop()
            try await scene.advance { monitor.status().drivers.map(\.name) == ["a.csi.k8s.io", "b.csi.k8s.io"] }
            drivers[2].driver.set(nodeCondition: .healthy, ofVolume: drivers[2].volume.handle)
            try drivers[2].start()
            try await scene.advance(untilEvents: 4)
            #expect(try scene.events().last?["reason"] == "VolumeConditionNormal")
        }
    }

    @Test(.tags(.rule10)) func `a registrar that restarts ends no back-off`() async throws {
        try await Self.run { scene, drivers, monitor in
            try await scene.advance(untilEvents: 3)
            let (driver, handle) = (drivers[0].driver, drivers[0].volume.handle)
            driver.intercept { $0.volumeID == handle ? .fail(.deadlineExceeded, "no response") : nil }
            let probes = { @Sendable in driver.journal.calls("NodeGetVolumeStats").count }
            // The sixth call would come 16 minutes after the fifth.
            let fifth = probes() + 5
            try await scene.advance { probes() == fifth }
            await drivers[0].registrar.stop()
            try await scene.advance { monitor.status().drivers.map(\.name) == ["b.csi.k8s.io", "c.csi.k8s.io"] }
            try drivers[0].registrar.start()
            try await scene.advance { monitor.status().drivers.map(\.isConnected) == [true, true, true] }
            let connected = scene.clock.now.offset
            try await scene.advance { scene.clock.now.offset >= connected + .seconds(180) }
            #expect(probes() == fifth)
            // When the driver restarts, its calls that hung are gone.
            let identifications = { @Sendable in driver.journal.calls("NodeGetCapabilities").count }
            let next = identifications() + 1
            await driver.stop()
            try driver.start()
            try await scene.advance { identifications() >= next }
            let reconnected = scene.clock.now.offset
            try await scene.advance { probes() > fifth }
            #expect(scene.clock.now.offset < reconnected + .seconds(300))
        }
    }

    @Test func `a driver with another name than the registered one is not used`() async throws {
        try await Self.run { scene, drivers, monitor in
            try await scene.advance(untilEvents: 3)
            let driver = drivers[0].driver
            await driver.stop()
            driver.configuration.name = "other.csi.k8s.io"
            try driver.start()
            try await scene.advance { monitor.status().drivers[0].failure?.reason.contains("other") == true }
            await driver.stop()
            driver.configuration.name = drivers[0].name
            driver.set(nodeCondition: .healthy, ofVolume: drivers[0].volume.handle)
            try driver.start()
            try await scene.advance(untilEvents: 4)
        }
    }
}
