// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import ControllerMonitor
import HealthMonitorTestKit
import HealthRuntime
import Synchronization
import Testing

/// `status.healthStatus` of PersistentVolumeClaims.
@Suite(.timeLimit(.minutes(50))) struct StatusTests {
    static let volume = VolumeFixture(number: 0)
    typealias Entry = SimulatedVolume.HealthEntry

    static func oneVolume(_ health: [Entry]) -> (Scene) throws -> Void {
        VolumeHealthTests.oneVolume(health)
    }

    static func legacy(_ condition: SimulatedVolume.Condition) -> (Scene) throws -> Void {
        HealthMonitorTests.oneVolume(condition)
    }

    static func healthStatus(_ scene: Scene, of volume: VolumeFixture = volume) throws -> JSONValue? {
        try scene.server.object(kind: "PersistentVolumeClaim", namespace: "default", name: volume.claimName)?[
            "status",
            "healthStatus"
        ]
    }

    /// Waits for the `count`th successful write of a status.
    static func write(_ scene: Scene, _ count: Int) async {
        _ = await scene.write(count, .patch, of: "persistentvolumeclaims")
    }

    /// The writes of a status, without dry runs.
    static func writes(_ scene: Scene) -> [RequestRecord] {
        patches(scene).filter { $0.request.query["dryRun"] == nil }
    }

    static func dryRuns(_ scene: Scene) -> [RequestRecord] {
        patches(scene).filter { $0.request.query["dryRun"] == "All" }
    }

    private static func patches(_ scene: Scene) -> [RequestRecord] {
        scene.server.journal.records.filter {
            $0.request.verb == .patch && $0.request.resource == "persistentvolumeclaims"
        }
    }

    static let missingRule = StatusError(
        code: 403,
        reason: "Forbidden",
        message: #"User "monitor" cannot patch resource "persistentvolumeclaims/status" in API group """#
    )

    @Test func `conditions are written and cleared`() async throws {
        let entries = [Entry(status: 1, reason: "Slow", message: "m"), Entry(status: 3, reason: "Gone")]
        try await Scene.run(prepare: Self.oneVolume(entries)) { scene in
            await Self.write(scene, 1)
            let status = try #require(try Self.healthStatus(scene))
            #expect(
                status["healthConditions"] == [
                    ["status": "DataLoss", "reason": "Gone"],
                    ["status": "Degraded", "reason": "Slow", "message": "m"],
                ]
            )
            #expect(status["lastTransitionTime"]?.string != nil)
            let request = try #require(Self.writes(scene).first?.request)
            #expect(request.subresource == "status")
            #expect(request.body?["metadata", "uid"]?.string?.isEmpty == false)
            #expect(request.body?["metadata", "resourceVersion"]?.string?.isEmpty == false)

            scene.driver.set(health: [], ofVolume: Self.volume.handle)
            await VolumeHealthTests.list(scene, again: 2)
            await Self.write(scene, 2)
            let cleared = try Self.healthStatus(scene)
            #expect(cleared == nil)
        }
    }

    @Test(.tags(.rule7)) func `a legacy condition is written as Degraded`() async throws {
        try await Scene.run(prepare: Self.legacy(.abnormal("The volume isn't mounted"))) { scene in
            await Self.write(scene, 1)
            let conditions = try Self.healthStatus(scene)?["healthConditions"]
            #expect(
                conditions == [
                    [
                        "status": "Degraded", "reason": "VolumeConditionAbnormal",
                        "message": "The volume isn't mounted",
                    ]
                ]
            )
        }
    }

    @Test func `without legacy status, a legacy condition is reported only by its event`() async throws {
        try await Scene.run {
            $0.writesLegacyStatus = false
        } prepare: { scene in
            try Self.legacy(.abnormal("broken"))(scene)
        } _: { scene in
            _ = await scene.write(1)
            for _ in 0..<3 { await scene.sweepAgain() }
            #expect(Self.writes(scene).isEmpty)
        }
    }

    @Test(.tags(.rule12)) func `an unchanged status is not written again`() async throws {
        try await Scene.run(prepare: Self.oneVolume([Entry(status: 2, reason: "NoPath")])) { scene in
            await Self.write(scene, 1)
            for count in 2...5 { await VolumeHealthTests.list(scene, again: count) }
            #expect(Self.writes(scene).count == 1)
        }
    }

    /// Fault 11 of EHM: a changed message resets lastTransitionTime.
    @Test(.tags(.rule6)) func `a new message does not change the transition time`() async throws {
        try await Scene.run(prepare: Self.oneVolume([Entry(status: 2, reason: "NoPath", message: "one")])) { scene in
            await Self.write(scene, 1)
            // Pretend that the transition was long ago.
            try scene.server.patch(
                kind: "PersistentVolumeClaim",
                namespace: "default",
                name: Self.volume.claimName,
                ["status": ["healthStatus": ["lastTransitionTime": "2020-01-01T00:00:00Z"]]]
            )
            scene.driver.set(health: [Entry(status: 2, reason: "NoPath", message: "two")], ofVolume: Self.volume.handle)
            while Self.writes(scene).count(where: { $0.code == 200 }) < 2 {
                await VolumeHealthTests.list(
                    scene,
                    again: scene.driver.journal.calls("ControllerListVolumeHealth").count + 1
                )
            }
            #expect(scene.clock.now.offset >= .seconds(600))
            let status = try Self.healthStatus(scene)
            #expect(status?["lastTransitionTime"] == "2020-01-01T00:00:00Z")
            #expect(status?["healthConditions"]?.array?.first?["message"] == "two")
        }
    }

    @Test func `a conflict is resolved with the current claim`() async throws {
        try await Scene.run { scene in
            try Self.oneVolume([Entry(status: 2, reason: "NoPath")])(scene)
            let server = scene.server
            server.intercept { request in
                guard request.verb == .patch, request.resource == "persistentvolumeclaims",
                    request.query["dryRun"] == nil
                else { return nil }
                server.intercept(nil)
                // Another client changes the claim at this moment.
                server.touchClaim(named: Self.volume.claimName)
                return nil
            }
        } _: { scene in
            await Self.write(scene, 1)
            #expect(Self.writes(scene).map(\.code) == [409, 200])
            let claim = try scene.server.object(
                kind: "PersistentVolumeClaim",
                namespace: "default",
                name: Self.volume.claimName
            )
            #expect(claim?["metadata", "annotations", "touched"] == "yes")
            #expect(claim?["status", "healthStatus"] != nil)
        }
    }

    @Test func `a conflict without permission to get claims is resolved by the watch`() async throws {
        try await Scene.run { scene in
            try Self.oneVolume([Entry(status: 2, reason: "NoPath")])(scene)
            let server = scene.server
            let conflicts = Conflicts()
            server.intercept { request in
                if request.verb == .get {
                    return .fail(StatusError(code: 403, reason: "Forbidden", message: "no"), headers: [:])
                }
                guard request.verb == .patch, request.subresource == "status", conflicts.isFirst() else { return nil }
                server.touchClaim(named: Self.volume.claimName)
                return nil
            }
        } _: { scene in
            _ = await scene.server.journal.first { $0.code == 403 }
            // Once the watch has delivered the change, whenever that is.
            try await scene.advance { try Self.healthStatus(scene) != nil }
        }
    }

    /// Whether a request is the first to meet a conflict.
    private final class Conflicts: Sendable {
        private let seen = Atomic(false)

        func isFirst() -> Bool { !seen.exchange(true, ordering: .relaxed) }
    }

    @Test(.tags(.rule11)) func `a claim recreated during the write is left alone`() async throws {
        try await Scene.run { scene in
            try Self.oneVolume([Entry(status: 2, reason: "NoPath")])(scene)
            let server = scene.server
            server.intercept { request in
                guard request.verb == .patch, request.resource == "persistentvolumeclaims",
                    request.query["dryRun"] == nil
                else { return nil }
                server.intercept(nil)
                try? server.delete(kind: "PersistentVolumeClaim", namespace: "default", name: Self.volume.claimName)
                try? server.delete(kind: "PersistentVolume", name: Self.volume.volumeName)
                _ = try? Self.volume.create(in: server)
                return nil
            }
            let journal = scene.driver.journal
            scene.driver.intercept { call in
                // No later list: the status to write belongs to the earlier claim.
                call.method.hasSuffix("ControllerListVolumeHealth")
                    && journal.calls("ControllerListVolumeHealth").count > 1 ? .never : nil
            }
        } _: { scene in
            _ = await scene.server.journal.first { $0.request.verb == .get && $0.code == 200 }
            #expect(Self.writes(scene).map(\.code) == [409])
            let status = try Self.healthStatus(scene)
            #expect(status == nil)
        }
    }

    @Test func `a server that forbids the write does not stop the monitor`() async throws {
        try await Scene.run { scene in
            try Self.oneVolume([Entry(status: 2, reason: "NoPath")])(scene)
            scene.server.intercept { request in
                guard request.subresource == "status" else { return nil }
                return .fail(Self.missingRule, headers: [:])
            }
        } _: { scene in
            _ = await scene.write(1)
            _ = await scene.server.journal.first { $0.code == 403 }
            scene.driver.set(health: [], ofVolume: Self.volume.handle)
            await VolumeHealthTests.list(scene, again: 2, ofAtLeast: Scene.interval / 2)
            _ = await scene.write(2)
            #expect(Self.writes(scene).count <= 2)
        }
    }

    @Test(.tags(.rule11)) func `the status is cleared when the volume is deleted and the claim remains`() async throws {
        try await Scene.run(prepare: Self.oneVolume([Entry(status: 2, reason: "NoPath")])) { scene in
            await Self.write(scene, 1)
            try scene.server.delete(kind: "PersistentVolume", name: Self.volume.volumeName)
            await Self.write(scene, 2)
            let cleared = try Self.healthStatus(scene)
            #expect(cleared == nil)
            let reasons = try scene.events().map { $0["reason"] }
            #expect(reasons == ["VolumeConditionAbnormal"])
        }
    }

    @Test(.tags(.rule9)) func `a new leader clears the status that its predecessor wrote`() async throws {
        try await Scene.set { scene in
            try Self.oneVolume([Entry(status: 2, reason: "NoPath")])(scene)
            try await scene.monitor { _ in
                await Self.write(scene, 1)
                _ = await scene.write(1)
            }
            scene.driver.set(health: [], ofVolume: Self.volume.handle)
            try await scene.monitor { _ in
                await Self.write(scene, 2)
                _ = await scene.write(2)
            }
            let cleared = try Self.healthStatus(scene)
            #expect(cleared == nil)
            let reasons = try scene.events().map { $0["reason"] }
            #expect(reasons == ["VolumeConditionAbnormal", "VolumeConditionNormal"])
        }
    }

    /// Fault 11 of EHM: duplicates and long texts cause a 422 forever.
    @Test func `any health that a driver returns can be written`() async throws {
        let long = String(repeating: "字🪵", count: 600)
        let entries =
            (0..<40).map { Entry(status: $0 % 3 + 1, reason: "\(long)\($0 / 2)", message: long) }
            + [Entry(status: 1, reason: "", message: "\n\t\u{0}")]
        try await Scene.run(prepare: Self.oneVolume(entries)) { scene in
            await Self.write(scene, 1)
            #expect(Self.writes(scene).map(\.code) == [200])
            _ = await scene.write(1)
        }
    }
}
