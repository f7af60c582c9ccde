// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthMonitorTestKit
import InMemoryLogging
import Logging
import Testing

/// What is logged in an outage: one line for each change of the counts.
@Suite(.timeLimit(.minutes(50))) struct SummaryTests {
    private static func lines(_ scene: Scene) -> [Logger.Metadata] {
        scene.log.entries.filter { "\($0.message)" == "Volume health changed" }.map(\.metadata)
    }

    @Test func `a sweep that changes the counts is one line, by status and reason`() async throws {
        let volumes = (0..<5).map { VolumeFixture(number: $0) }
        try await Scene.run { scene in
            scene.driver.configuration.controllerCapabilities =
                SimulatedDriver.Configuration.health
                .controllerCapabilities
            for volume in volumes {
                try volume.create(in: scene.server)
                let entry: SimulatedVolume.HealthEntry =
                    volume.handle == volumes[4].handle
                    ? .init(status: 3, reason: "Gone") : .init(status: 2, reason: "ArrayDown")
                scene.driver.set(health: [entry], ofVolume: volume.handle)
            }
        } _: { scene in
            func lines(_ count: Int) async throws {
                try await scene.advance { Self.lines(scene).count >= count }
            }
            try await lines(1)
            scene.driver.set(health: [], ofVolumes: volumes.map(\.handle))
            try await lines(2)
            let metadata = Self.lines(scene).map { $0.filter { $0.key != "driver" } }
            #expect(metadata.count == 2)
            #expect(
                metadata.first.map { ["\($0["unhealthy"] ?? "")", "\($0["conditions"] ?? "")"] }
                    == ["5", "Inaccessible (ArrayDown): 4, DataLoss (Gone): 1"]
            )
            #expect(metadata.last.map { "\($0)" }?.contains("0") == true)
        }
    }
}
