// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import ControllerCore
import HealthCore
import HealthMonitorTestKit
import InMemoryLogging
import Logging
import Testing

@testable import ControllerMonitor
@testable import HealthRuntime

/// What is logged at which level, with which keys.
@Suite(.timeLimit(.minutes(30))) struct LogTests {
    @Test func `many events at once are one line with the first five claims, and a line each at the next level`()
        async throws
    {
        let volumes = (1...25).map { VolumeFixture(number: $0) }
        try await Scene.run { scene in
            for volume in volumes { try volume.create(in: scene.server) }
            scene.driver.volumes = volumes.map { SimulatedVolume(id: $0.handle, condition: .abnormal("outage")) }
        } _: { scene in
            while Self.lines(scene, "Recorded event").count < 25 { await pollingPause() }
            try await scene.advance { !Self.lines(scene, "Recorded many events").isEmpty }
            let bursts = Self.lines(scene, "Recorded many events")
            #expect(bursts.map(\.level) == [.notice])
            #expect(bursts.first?.metadata["events"] == .stringConvertible(25))
            guard case .array(let claims)? = bursts.first?.metadata["firstPVCs"] else {
                Issue.record("no claims in \(bursts)")
                return
            }
            let all = volumes.map {
                Logger.MetadataValue.dictionary(["namespace": "default", "name": "\($0.claimName)"])
            }
            #expect(claims.count == 5)
            #expect(claims.allSatisfy(all.contains))
            let events = Self.lines(scene, "Recorded event")
            #expect(events.allSatisfy { $0.level == .info && $0.metadata["count"] == .stringConvertible(1) })
            #expect(events.compactMap { $0.metadata["PVC"] }.allSatisfy(all.contains))
        }
    }

    @Test func `20 events at once are not a burst`() async throws {
        let volumes = (1...20).map { VolumeFixture(number: $0) }
        try await Scene.run { scene in
            for volume in volumes { try volume.create(in: scene.server) }
            scene.driver.volumes = volumes.map { SimulatedVolume(id: $0.handle, condition: .abnormal("outage")) }
        } _: { scene in
            while Self.lines(scene, "Recorded event").count < 20 { await pollingPause() }
            await scene.sweepAgain()
            #expect(Self.lines(scene, "Recorded many events").isEmpty)
        }
    }

    @Test func `of many refused reports five are warnings, and the others are logged at the next level`() async throws {
        let volumes = (1...25).map { VolumeFixture(number: $0) }
        try await Scene.run { scene in
            for volume in volumes { try volume.create(in: scene.server) }
            scene.driver.volumes = volumes.map { SimulatedVolume(id: $0.handle, condition: .abnormal("outage")) }
            let refusal = StatusError(code: 400, reason: "BadRequest", message: "no")
            scene.server.intercept { $0.resource == "events" && $0.verb == .create ? .fail(refusal) : nil }
        } _: { scene in
            let message = "Failed to record event, retrying"
            while Self.lines(scene, message).count < 25 { await pollingPause() }
            let more = Self.lines(scene, "Many reports failed, logging the others of this minute at --v=2 only")
            #expect(more.map(\.level) == [.warning])
            let levels = Self.lines(scene, message).prefix(25).map(\.level)
            #expect(levels.count { $0 == .warning } == 5)
            #expect(levels.count { $0 == .info } == 20)
        }
    }

    @Test func `a missing status field is logged once in a process, as information`() async throws {
        try await Scene.set { scene in
            try StatusSupportTests.brokenVolumes(scene)
            let terms = Terms()
            var configuration = MonitorConfiguration(driverName: "hostpath.csi.k8s.io", identity: "m")
            // A condition in the claim's status would leave nothing to write in the next term.
            configuration.claimConditions = .never
            try await scene.monitor(configuration, terms: terms) { _ in
                for _ in 1...3 {
                    func drops() -> Int { scene.observations.all.count { $0 == .statusWriteDropped } }
                    let before = drops()
                    terms.begin()
                    while drops() == before { await pollingPause() }
                    await terms.end()
                }
                let lines = scene.log.entries.filter { "\($0.message)".contains("status.healthStatus of claims") }
                #expect(lines.map(\.level) == [.notice])
            }
        }
    }

    private static func lines(_ scene: Scene, _ message: String) -> [InMemoryLogHandler.Entry] {
        scene.log.entries.filter { "\($0.message)" == message }
    }
}
