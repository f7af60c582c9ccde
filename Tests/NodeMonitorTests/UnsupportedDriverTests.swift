// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import GRPCTransport
import HealthMonitorTestKit
import InMemoryLogging
import Logging
import NodeCore
import Testing

@testable import CSIClient
@testable import NodeMonitor

/// Drivers whose Node service reports no health, or does not implement what it promises. The agent stays up and finds
/// out when that changes.
@Suite(.timeLimit(.minutes(50))) struct UnsupportedDriverTests {
    static let handle = VolumeFixture(number: 0).handle

    /// A node plugin with these capabilities; nil: without a Node service.
    private static func driver(_ capabilities: [Int]?) -> SimulatedDriver.Configuration {
        .init(controllerCapabilities: nil, nodeCapabilities: capabilities)
    }

    @Test(arguments: [[1, 2], nil] as [[Int]?])
    func `a driver without health is named once, and its capabilities are read again every five minutes`(
        capabilities: [Int]?
    ) async throws {
        try await NodeScene.run(Self.driver(capabilities)) { scene in
            try scene.createPod()
        } _: { scene, monitor in
            for reads in 2...4 {
                try await scene.advance { scene.driver.journal.calls("NodeGetCapabilities").count == reads }
                #expect(scene.clock.now.offset >= .seconds(300 * (reads - 1)))
            }
            #expect(scene.probes(of: Self.handle).isEmpty)
            let driver = try #require(monitor.status().drivers.first)
            #expect(driver.isConnected)
            #expect(driver.isSupported == false)
            #expect(driver.method == nil)
            #expect(driver.problem?.contains("VOLUME_CONDITION") == true)
            // On a busy machine, the client may give up the watch after minutes without a byte.
            let warnings = scene.log.entries.filter {
                $0.level >= .warning && "\($0.message)" != "Failed to watch, retrying"
            }
            #expect(
                warnings.map(\.message) == ["The driver does not report volume health, its volumes are not monitored"]
            )
        }
    }

    @Test func `a driver that has the capability later is monitored on the same connection`() async throws {
        try await NodeScene.run(Self.driver([1, 2])) { scene in
            try scene.createPod()
            scene.set("gone", ofVolume: Self.handle)
        } _: { scene, monitor in
            try await scene.advance { monitor.status().drivers.first?.isSupported == false }
            scene.driver.configuration.nodeCapabilities = [1, 2, 4]
            try await scene.advance(untilEvents: 1)
            #expect(scene.clock.now.offset >= .seconds(300))
            #expect(monitor.status().drivers.first?.method == "NodeGetVolumeStats")
            #expect(monitor.status().drivers.first?.problem == nil)
        }
    }

    // MARK: UNIMPLEMENTED

    private static let unimplemented: SimulatedDriver.Interceptor = { call in
        call.volumeID.isEmpty ? nil : .fail(.unimplemented, "unknown method")
    }

    @Test func `a driver that does not implement its RPC gets one call per interval until it does`() async throws {
        try await NodeScene.run { scene in
            for number in 0..<3 { try scene.createPod("app-\(number)", VolumeFixture(number: number)) }
            scene.driver.intercept(Self.unimplemented)
        } _: { scene, monitor in
            for calls in 1...4 {
                try await scene.advance { scene.driver.journal.calls("NodeGetVolumeStats").count >= calls }
                // Up to three calls may be under way when the first response comes.
                let rounds = (scene.driver.journal.calls("NodeGetVolumeStats").count + 2) / 3
                #expect(scene.clock.now.offset >= .seconds(60 * (rounds - 1)))
            }
            #expect(scene.driver.journal.calls("NodeGetCapabilities").count >= 2)
            #expect(monitor.status().drivers.first?.isConnected == true)
            scene.driver.intercept(nil)
            scene.set("gone", ofVolume: Self.handle)
            try await scene.advance(untilEvents: 1)
        }
    }

    @Test func `a connection that breaks before such a driver is called again is noticed at once`() async throws {
        try await NodeScene.run { scene in
            try scene.createPod()
            scene.driver.intercept(Self.unimplemented)
        } _: { scene, monitor in
            try await scene.advance { scene.driver.journal.calls("NodeGetCapabilities").count >= 2 }
            let read = scene.clock.now.offset
            try await scene.advance { scene.clock.now.offset >= read + .seconds(5) }
            await scene.driver.stop()
            // The clock stands still.
            while monitor.status().drivers.first?.isConnected == true { try await cancellablePollingPause() }
            scene.driver.intercept(nil)
            scene.set("gone", ofVolume: Self.handle)
            try scene.driver.start()
            try await scene.advance(untilEvents: 1)
        }
    }

    // MARK: Capabilities

    @Test(arguments: [[], [1], [2, 4], [1, 2, 4, 7], [1, 7, 8], [3, 5, 6, 8, 99]])
    func `the client's capabilities are those that the core knows by their numbers`(numbers: [Int]) {
        let capabilities = Set(numbers.compactMap(NodeCapability.init(rawValue:)))
        #expect(NodeCapabilities(capabilities) == NodeCapabilities(numbers: numbers))
    }
}
