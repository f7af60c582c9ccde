// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import ControllerCore
import ControllerMonitor
import HealthCore
import HealthMonitorTestKit
import HealthRuntime
import Synchronization
import Testing

/// The condition `csi-health-monitor/VolumeHealthy` of PersistentVolumeClaims.
@Suite(.timeLimit(.minutes(50))) struct ClaimConditionTests {
    typealias Entry = SimulatedVolume.HealthEntry
    static let volume = VolumeFixture(number: 0)
    static let entries = [
        Entry(status: 1, reason: "Slow", message: "a disk is missing"), Entry(status: 2, reason: "NoPath"),
    ]
    static let message: JSONValue = "Inaccessible (NoPath); Degraded (Slow): a disk is missing"

    static func conditions(_ scene: Scene, of volume: VolumeFixture = volume) throws -> [JSONValue] {
        let claim = try scene.server.object(
            kind: "PersistentVolumeClaim",
            namespace: "default",
            name: volume.claimName
        )
        return claim?["status", "conditions"]?.array ?? []
    }

    static func condition(_ scene: Scene, of volume: VolumeFixture = volume) throws -> JSONValue? {
        try conditions(scene, of: volume).first { $0["type"] == "csi-health-monitor/VolumeHealthy" }
    }

    static func oneVolume(gates: Set<FeatureGate> = []) -> (Scene) throws -> Void {
        { scene in
            scene.server.featureGates = gates
            try VolumeHealthTests.oneVolume(entries)(scene)
        }
    }

    static func recover(_ scene: Scene) async throws {
        scene.driver.set(health: [], ofVolume: volume.handle)
        try await scene.advance { try condition(scene)?["status"] == "True" }
    }

    /// Sets the transition time that the claim shows.
    static func set(transition: String, _ scene: Scene) throws {
        var condition = try #require(try condition(scene))
        condition["lastTransitionTime"] = .string(transition)
        try set(conditions: [condition], scene)
    }

    static func set(conditions: [JSONValue], _ scene: Scene) throws {
        try scene.server.patch(
            kind: "PersistentVolumeClaim",
            namespace: "default",
            name: volume.claimName,
            ["status": ["conditions": .array(conditions)]]
        )
    }

    @Test func `it has the worst reason and every message, becomes True on recovery, and is removed after a day`()
        async throws
    {
        try await Scene.run(prepare: Self.oneVolume()) { scene in
            try await scene.advance { try Self.condition(scene) != nil }
            let condition = try #require(try Self.condition(scene))
            #expect(condition["status"] == "False")
            #expect(condition["reason"] == "NoPath")
            #expect(condition["message"] == Self.message)
            #expect(condition["lastTransitionTime"]?.string?.isEmpty == false)

            try await Self.recover(scene)
            #expect(try Self.condition(scene)?["reason"] == "VolumeConditionNormal")
            try Self.set(transition: "2020-01-01T00:00:00Z", scene)
            try await scene.advance { try Self.condition(scene) == nil }
        }
    }

    /// An admission webhook that does not respond costs its timeout for each request.
    @Test(.tags(.rule10)) func `outdated conditions of a namespace in which a request fails wait for the next hour`()
        async throws
    {
        let outdated: JSONValue = [
            "type": "csi-health-monitor/VolumeHealthy", "status": "True", "reason": "VolumeConditionNormal",
            "lastTransitionTime": "2020-01-01T00:00:00Z",
        ]
        @Sendable func removals(_ scene: Scene, in namespace: String) -> [RequestRecord] {
            scene.server.journal.records.filter { $0.request.verb == .patch && $0.request.namespace == namespace }
        }
        try await Scene.run { scene in
            try scene.server.create(["apiVersion": "v1", "kind": "Namespace", "metadata": ["name": "dead"]])
            for number in 0..<4 {
                var volume = VolumeFixture(number: number)
                if number > 0 { volume.namespace = "dead" }
                try volume.create(in: scene.server)
                scene.driver.set(.healthy, ofVolume: volume.handle)
                try scene.server.patch(
                    kind: "PersistentVolumeClaim",
                    namespace: volume.namespace,
                    name: volume.claimName,
                    ["status": ["conditions": [outdated]]]
                )
            }
            scene.server.intercept { request in
                guard request.verb == .patch, request.namespace == "dead" else { return nil }
                return .fail(StatusError(code: 500, reason: "InternalError", message: "failed calling webhook"))
            }
        } _: { scene in
            try await scene.advance {
                try Self.condition(scene) == nil && !removals(scene, in: "dead").isEmpty
            }
            let start = scene.clock.now.offset
            try await scene.advance { scene.clock.now.offset - start > .seconds(300) }
            #expect(removals(scene, in: "dead").count == 1)
            try await scene.advance { removals(scene, in: "dead").count == 2 }
        }
    }

    @Test func `a recovery within the last day stays visible`() async throws {
        try await Scene.run(prepare: Self.oneVolume()) { scene in
            try await scene.advance { try Self.condition(scene) != nil }
            try await Self.recover(scene)
            let start = scene.clock.now.offset
            try await scene.advance { scene.clock.now.offset - start > .seconds(300) }
            #expect(try Self.condition(scene)?["status"] == "True")
        }
    }

    @Test func `a new message alone does not change the transition time`() async throws {
        try await Scene.run(prepare: Self.oneVolume()) { scene in
            try await scene.advance { try Self.condition(scene) != nil }
            try Self.set(transition: "2020-01-01T00:00:00Z", scene)
            scene.driver.set(health: [Entry(status: 2, reason: "NoPath", message: "m")], ofVolume: Self.volume.handle)
            try await scene.advance { try Self.condition(scene)?["message"] == "Inaccessible (NoPath): m" }
            #expect(try Self.condition(scene)?["lastTransitionTime"] == "2020-01-01T00:00:00Z")
        }
    }

    /// external-resizer sets its own conditions on the same claims: pkg/controller, `markPVCAsFSResizeRequired`.
    @Test func `conditions of other clients stay, even when they are set during the write`() async throws {
        let resizing: JSONValue = ["type": "FileSystemResizePending", "status": "True"]
        let isFirst = Atomic(true)
        try await Scene.run { scene in
            try Self.oneVolume()(scene)
            scene.server.intercept { request in
                guard request.contentType == "application/strategic-merge-patch+json",
                    isFirst.exchange(false, ordering: .relaxed)
                else { return nil }
                try? Self.set(conditions: [resizing], scene)
                return nil
            }
        } _: { scene in
            try await scene.advance { try Self.condition(scene) != nil }
            #expect(try Self.conditions(scene).map { $0["type"] }.contains("FileSystemResizePending"))
            #expect(StatusTests.writes(scene).contains { $0.code == 409 })
            // external-resizer removes its own condition and leaves ours, because it patches with the same list type.
            let ours = try #require(try Self.condition(scene))
            try Self.set(conditions: [ours], scene)
            try await Self.recover(scene)
            #expect(try Self.conditions(scene).count == 1)
        }
    }

    /// Rule 9 when no event is left.
    @Test func `a new leader reads the condition back and reports the recovery`() async throws {
        try await Scene.set { scene in
            try Self.oneVolume()(scene)
            try await scene.monitor { _ in
                _ = await scene.write(1)
                while try Self.condition(scene) == nil { await pollingPause() }
            }
            for event in try scene.events() {
                let name = try #require(event["metadata", "name"]?.string)
                try scene.server.delete(kind: "Event", namespace: "default", name: name)
            }
            scene.driver.set(health: [], ofVolume: Self.volume.handle)
            try await scene.monitor { _ in
                try await scene.advance { try !scene.events().isEmpty }
                try await scene.advance { try Self.condition(scene)?["status"] == "True" }
            }
            let reasons = try scene.events().map { $0["reason"] }
            #expect(reasons == ["VolumeConditionNormal"])
        }
    }

    @Test func `a new leader does not write an unchanged condition again`() async throws {
        try await Scene.set { scene in
            try Self.oneVolume()(scene)
            try await scene.monitor { _ in
                _ = await scene.write(1)
                while try Self.condition(scene) == nil { await pollingPause() }
            }
            let writes = StatusTests.writes(scene).count
            try await scene.monitor { monitor in
                while monitor.snapshot()?.unhealthyClaims.isEmpty != false { await pollingPause() }
                let start = scene.clock.now.offset
                try await scene.advance { scene.clock.now.offset - start > .seconds(310) }
                #expect(StatusTests.writes(scene).count == writes)
            }
        }
    }

    @Test func `with the policy always, the condition is set beside the field`() async throws {
        try await Scene.run {
            $0.claimConditions = .always
        } prepare: {
            try Self.oneVolume(gates: [.csiVolumeHealth])($0)
        } _: { scene in
            try await scene.advance { try Self.condition(scene) != nil }
            #expect(try StatusTests.healthStatus(scene, of: Self.volume) != nil)
            try await Self.recover(scene)
            let field = try StatusTests.healthStatus(scene, of: Self.volume)
            #expect(field == nil)
        }
    }

    @Test(arguments: [ClaimConditionPolicy.auto, .never])
    func `where the server keeps the field, the condition is not set`(_ policy: ClaimConditionPolicy) async throws {
        try await Scene.run {
            $0.claimConditions = policy
        } prepare: {
            try Self.oneVolume(gates: [.csiVolumeHealth])($0)
        } _: { scene in
            try await scene.advance { try StatusTests.healthStatus(scene, of: Self.volume) != nil }
            #expect(try Self.conditions(scene).isEmpty)
        }
    }

    @Test func `with the policy never, an existing condition is removed`() async throws {
        try await Scene.set { scene in
            try Self.oneVolume()(scene)
            try await scene.monitor { _ in
                while try Self.condition(scene) == nil { await pollingPause() }
            }
            var configuration = MonitorConfiguration(driverName: "hostpath.csi.k8s.io", identity: "m")
            configuration.claimConditions = .never
            try await scene.monitor(configuration) { _ in
                try await scene.advance { try Self.condition(scene) == nil }
            }
        }
    }

    @Test func `a relapse sets it to False again`() async throws {
        try await Scene.run(prepare: Self.oneVolume()) { scene in
            try await scene.advance { try Self.condition(scene) != nil }
            try await Self.recover(scene)
            scene.driver.set(health: Self.entries, ofVolume: Self.volume.handle)
            try await scene.advance { try Self.condition(scene)?["status"] == "False" }
        }
    }

    @Test func `the message of a legacy condition is the driver's own`() async throws {
        try await Scene.run { scene in
            try StatusTests.legacy(.abnormal("The volume isn't mounted"))(scene)
            scene.server.featureGates = []
        } _: { scene in
            try await scene.advance { try Self.condition(scene) != nil }
            let condition = try #require(try Self.condition(scene))
            #expect(condition["reason"] == "VolumeConditionAbnormal")
            #expect(condition["message"] == "The volume isn't mounted")
        }
    }
}
