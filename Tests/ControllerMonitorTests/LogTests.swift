// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import ControllerCore
import GRPCTransport
import HealthCore
import HealthMonitorTestKit
import InMemoryLogging
import Logging
import Testing

@testable import ControllerMonitor
@testable import HealthRuntime

/// What is logged at which level, with which keys.
@Suite(.timeLimit(.minutes(50))) struct LogTests {
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

    @Test func `a failed list is an error line for each cause, once until a list is complete`() async throws {
        try await Scene.run { scene in
            scene.driver.intercept { $0.method.hasSuffix("ListVolumes") ? .fail(.internal, "first array") : nil }
        } _: { scene in
            /// Returns when so many more lists have ended.
            func lists(_ count: Int) async throws {
                let before = scene.driver.journal.calls("ListVolumes").count
                try await scene.advance { scene.driver.journal.calls("ListVolumes").count > before + count }
            }
            func errors() -> [String] {
                Self.lines(scene, "Failed to list volumes, retrying").filter { $0.level == .error }.compactMap {
                    "\($0.metadata["err"] ?? "")".split(separator: ": ").last.map(String.init)
                }
            }
            try await lists(3)
            #expect(errors() == ["first array"])
            scene.driver.intercept { $0.method.hasSuffix("ListVolumes") ? .fail(.aborted, "second array") : nil }
            try await lists(3)
            #expect(errors() == ["first array", "second array"])
            scene.driver.intercept(nil)
            try await lists(2)
            scene.driver.intercept { $0.method.hasSuffix("ListVolumes") ? .fail(.internal, "third array") : nil }
            try await lists(3)
            #expect(errors() == ["first array", "second array", "third array"])
        }
    }

    @Test func `calls for a volume that keep failing are logged again at increasing intervals`() async throws {
        try await Scene.run(prepare: GetModeTests.volumes(1)) { scene in
            scene.driver.intercept { $0.method.hasSuffix("GetVolume") ? .fail(.internal, "no path") : nil }
            func warnings() -> [InMemoryLogHandler.Entry] {
                Self.lines(scene, "Failed to get volume health, retrying").filter { $0.level == .warning }
            }
            try await scene.advance { warnings().count >= 4 }
            // The driver was identified several times meanwhile.
            #expect(scene.driver.journal.calls("GetPluginInfo").count >= 2)
            let first = warnings()[0].metadata
            #expect(first["for"] == nil && first["count"] == nil)
            let minutes = warnings().dropFirst().prefix(3).compactMap { entry in
                entry.metadata["for"].flatMap { "\($0)".split(separator: ".").first }.flatMap { Int($0) }.map {
                    $0 / 60
                }
            }
            #expect(minutes.count == 3)
            #expect(zip(minutes, [1, 3, 8]).allSatisfy { $0 >= $1 }, "\(minutes)")
            #expect(warnings()[1...3].allSatisfy { $0.metadata["count"] != nil })
            scene.driver.intercept(nil)
            try await scene.advance { !Self.lines(scene, "Calls for volume health no longer fail").isEmpty }
            let end = Self.lines(scene, "Calls for volume health no longer fail")
            #expect(end.map(\.level) == [.notice])
        }
    }

    @Test func `reports that the API server refuses fail, and no longer once they are recorded`() async throws {
        try await Scene.set { scene in
            try HealthMonitorTests.oneVolume(.abnormal("broken"))(scene)
            let refusal = StatusError(code: 403, reason: "Forbidden", message: "exceeded quota")
            scene.server.intercept {
                $0.resource == "events" && $0.verb == .create ? .fail(refusal, headers: [:]) : nil
            }
            try await scene.monitor { monitor in
                try await scene.advance { (monitor.reportFailure()?.age ?? .zero) >= .seconds(60) }
                let failure = try #require(monitor.reportFailure())
                #expect(failure.failing >= 1)
                #expect(failure.waiting >= failure.failing)
                #expect(failure.error?.contains("exceeded quota") == true)
                scene.server.intercept(nil)
                try await scene.advance { monitor.reportFailure() == nil }
                #expect(try !scene.events().isEmpty)
            }
        }
    }

    @Test func `an event about a failed node that the API server refuses is a failing report`() async throws {
        try await Scene.set { scene in
            try HealthMonitorTests.oneVolume(.healthy)(scene)
            try NodeFixture(name: "worker", readiness: .unknown, since: 0).store(in: scene.server)
            try PodFixture(name: "web-0", nodeName: "worker", claimNames: [VolumeFixture(number: 0).claimName])
                .create(in: scene.server)
            let refusal = StatusError(code: 403, reason: "Forbidden", message: "exceeded quota")
            scene.server.intercept {
                $0.resource == "events" && $0.verb == .create ? .fail(refusal, headers: [:]) : nil
            }
            var configuration = Scene.configuration
            configuration.nodeFailureDuration = .seconds(60)
            try await scene.monitor(configuration) { monitor in
                try await scene.advance { monitor.reportFailure() != nil }
                #expect(monitor.reportFailure()?.failing == 1)
                scene.server.intercept(nil)
                try await scene.advance { monitor.reportFailure() == nil }
                #expect(try scene.events().map { $0["reason"] } == ["NodeFailed"])
            }
        }
    }

    /// A recursive lock traps.
    @Test func `the facts of the health pages are collected while the state is locked`() async throws {
        try await Scene.set { scene in
            try HealthMonitorTests.oneVolume(.abnormal("broken"))(scene)
            let state = SharedHealthState(HealthState(configuration: .init(Scene.configuration)))
            try await scene.monitor(state: state) { monitor in
                try await scene.advance { monitor.status()?.sweepAge != nil }
                let (status, problem) = state.withLock { _ in
                    (monitor.status(), monitor.driverProblem())
                }
                #expect(status?.isLeading == true)
                #expect(status?.sweepAge != nil)
                #expect(problem == nil)
            }
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
