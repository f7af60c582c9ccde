// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import ControllerCore
import HealthCore
import HealthMonitorTestKit
import InMemoryLogging
import Testing

@testable import ControllerMonitor
@testable import HealthRuntime

/// API servers that do not keep `status.healthStatus`: all before 1.37, and later ones with the feature gate off.
@Suite(.timeLimit(.minutes(50))) struct StatusSupportTests {
    typealias Entry = SimulatedVolume.HealthEntry
    static let volumes = (1...5).map { VolumeFixture(number: $0) }

    static func brokenVolumes(_ scene: Scene) throws {
        scene.server.featureGates = []
        scene.driver.configuration.controllerCapabilities = [16, 17]
        for volume in volumes {
            try volume.create(in: scene.server)
            scene.driver.set(health: [Entry(status: 2, reason: "NoPath")], ofVolume: volume.handle)
        }
    }

    static func versions(_ scene: Scene) throws -> [JSONValue?] {
        try volumes.map { volume in
            try scene.server.object(kind: "PersistentVolumeClaim", namespace: "default", name: volume.claimName)?[
                "metadata",
                "resourceVersion"
            ]
        }
    }

    static func showHealth(_ scene: Scene) throws -> Bool {
        try volumes.allSatisfy { try StatusTests.healthStatus(scene, of: $0) != nil }
    }

    /// A write would leave the dropped field in managedFields: docs/reliability.md, "Assumptions about others".
    @Test func `the support check writes nothing to any claim`() async throws {
        try await Scene.set { scene in
            try Self.brokenVolumes(scene)
            let before = try Self.versions(scene)
            var configuration = MonitorConfiguration(driverName: "hostpath.csi.k8s.io", identity: "m")
            configuration.claimConditions = .never
            try await scene.monitor(configuration) { monitor in
                _ = await scene.write(5)
                while monitor.snapshot()?.isStatusSupported != false { await pollingPause() }
                while monitor.snapshot()?.statuses.depth != 0 { await pollingPause() }
                for count in 2...4 { await VolumeHealthTests.list(scene, again: count, ofAtLeast: Scene.interval / 2) }
                #expect(StatusTests.writes(scene).isEmpty)
                #expect(!StatusTests.dryRuns(scene).isEmpty)
                let after = try Self.versions(scene)
                #expect(before == after)
            }
        }
    }

    @Test func `a feature gate that is switched on later is noticed`() async throws {
        try await Scene.run {
            $0.claimConditions = .never
        } prepare: {
            try Self.brokenVolumes($0)
        } _: { scene in
            _ = await scene.write(5)
            while !scene.observations.all.contains(.statusWriteDropped) { await pollingPause() }
            let start = scene.clock.now.offset
            try await scene.advance { scene.clock.now.offset - start > .seconds(2000) }
            scene.server.featureGates = [.csiVolumeHealth]
            try await scene.advance { try Self.showHealth(scene) }
        }
    }

    @Test func `an upgrade of the API server is noticed within minutes`() async throws {
        try await Scene.run { scene in
            try Self.brokenVolumes(scene)
            scene.server.version = "v1.36.2"
        } _: { scene in
            _ = await scene.write(5)
            // The version is known.
            try await scene.advance { scene.server.journal.records.contains { $0.request.path == "/version" } }
            let start = scene.clock.now.offset
            scene.server.version = "v1.37.0"
            scene.server.featureGates = [.csiVolumeHealth]
            try await scene.advance { try Self.showHealth(scene) }
            // Without the version, it would be noticed by the trial every ten minutes.
            #expect(scene.clock.now.offset - start < .seconds(590))
            // Where the server keeps the field, it takes the condition's place.
            try await scene.advance {
                try Self.volumes.allSatisfy { try ClaimConditionTests.condition(scene, of: $0) == nil }
            }
        }
    }

    /// k8s.io/apiserver, pkg/admission/plugin/webhook/errors, `NewDryRunUnsupportedErr`.
    @Test func `where a webhook refuses dry runs, the write itself shows the support`() async throws {
        try await Scene.run { scene in
            try Self.brokenVolumes(scene)
            scene.server.intercept { request in
                guard request.query["dryRun"] != nil else { return nil }
                return .fail(
                    StatusError(
                        code: 400,
                        reason: "BadRequest",
                        message: #"admission webhook "w" does not support dry run"#
                    )
                )
            }
        } _: { scene in
            _ = await scene.write(5)
            try await scene.advance {
                try Self.volumes.allSatisfy { try ClaimConditionTests.condition(scene, of: $0) != nil }
            }
        }
    }

    @Test func `where a webhook refuses dry runs, an upgrade is noticed by the write itself`() async throws {
        try await Scene.run { scene in
            try Self.brokenVolumes(scene)
            scene.server.version = "v1.36.2"
            scene.server.intercept { request in
                guard request.query["dryRun"] != nil else { return nil }
                return .fail(StatusError(code: 400, reason: "BadRequest", message: "does not support dry run"))
            }
        } _: { scene in
            try await scene.advance {
                try Self.volumes.allSatisfy { try ClaimConditionTests.condition(scene, of: $0) != nil }
            }
            scene.server.version = "v1.37.0"
            scene.server.featureGates = [.csiVolumeHealth]
            try await scene.advance { try Self.showHealth(scene) }
        }
    }

    @Test func `the check is due soon at first, then every ten minutes`() {
        var review = SupportReview()
        var now = Duration.zero
        var last = Duration.zero
        var pauses: [Duration] = []
        while pauses.count < 13 {
            now += review.pause(at: now)
            if review.isVersionDue(at: now) { review.observe(serverVersion: "v1.36.0", at: now) }
            guard review.isTrialDue(at: now) else { continue }
            pauses.append(now - last)
            last = now
        }
        #expect(pauses == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600, 600].map { .seconds($0) })
    }

    @Test func `where the field is kept now and then, the check is due later each time`() {
        var review = SupportReview()
        var now = Duration.zero
        let pauses = (0..<12).map { _ in
            review.suspend()
            let pause = review.pause(at: now)
            now += pause
            _ = review.isTrialDue(at: now)
            return pause
        }
        #expect(pauses == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600].map { .seconds($0) })
    }

    /// The feature gate is switched off: claims that have the field keep it, and others do not get it any more.
    @Test func `a claim that does not get the field changes nothing for those that have it`() async throws {
        try await Scene.run { scene in
            scene.driver.configuration.controllerCapabilities = [16, 17]
            for (volume, namespace) in zip(Self.volumes, ["default", "shop", "bank", "farm", "farm"]) {
                var volume = volume
                volume.namespace = namespace
                if try scene.server.object(kind: "Namespace", name: namespace) == nil {
                    try scene.server.create(["kind": "Namespace", "metadata": ["name": .string(namespace)]])
                }
                try volume.create(in: scene.server)
                let isHealthy = namespace == "farm"
                scene.driver.set(health: isHealthy ? [] : [Entry(status: 2, reason: "Down")], ofVolume: volume.handle)
            }
        } _: { scene in
            try await scene.advance { StatusTests.writes(scene).count >= 3 }
            scene.server.featureGates = []
            _ = scene.server.journal.takeAll()
            scene.driver.set(health: [Entry(status: 2, reason: "Down")], ofVolume: Self.volumes[3].handle)
            try await scene.advance { StatusTests.writes(scene).count >= 3 }
            #expect(Set(StatusTests.writes(scene).map(\.request.namespace)) == ["farm"])
            // The condition takes the field's place.
            let name = Self.volumes[3].claimName
            let claim = try scene.server.object(kind: "PersistentVolumeClaim", namespace: "farm", name: name)
            let conditions = String(describing: claim?["status", "conditions"])
            #expect(conditions.contains("csi-health-monitor/VolumeHealthy"))
            #expect(!scene.log.entries.contains { "\($0.message)".contains("does not keep") })
            let failures = scene.log.entries.filter { "\($0.message)".hasPrefix("Failed to update the claim's status") }
            #expect(failures.contains { "\($0.metadata["err"], default: "")".contains("but not of this one") })
        }
    }

    @Test func `the version is read every minute, and a new one makes the check due`() {
        var review = SupportReview()
        var now = Duration.zero
        var reads: [Duration] = []
        var trials = 0
        while now < .seconds(7200) {
            now += review.pause(at: now)
            if review.isVersionDue(at: now) {
                reads.append(now)
                review.observe(serverVersion: "v1.36.0", at: now)
            }
            trials += review.isTrialDue(at: now) ? 1 : 0
        }
        let gaps = zip(reads, reads.dropFirst()).map { $1 - $0 }
        #expect(gaps.allSatisfy { $0 == .seconds(60) })

        now += review.pause(at: now)
        let isDueWithTheSame = review.isTrialDue(at: now)
        #expect(!isDueWithTheSame)
        review.observe(serverVersion: "v1.37.0", at: now)
        let isDueWithAnother = review.isTrialDue(at: now)
        #expect(isDueWithAnother)
    }
}
