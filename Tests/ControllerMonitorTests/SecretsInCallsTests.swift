// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import ControllerMonitor
import HealthMonitorTestKit
import HealthRuntime
import Testing

/// Credentials that a driver expects in its health RPCs.
@Suite(.timeLimit(.minutes(50))) struct SecretsInCallsTests {
    static let volumes = [VolumeFixture(number: 0), VolumeFixture(number: 1)]

    /// Two volumes, each with a reference to the Secret of this name.
    static func prepare(_ secrets: [String], capabilities: [Int]) -> (Scene) throws -> Void {
        { scene in
            scene.driver.configuration.controllerCapabilities = capabilities
            try scene.server.create(["apiVersion": "v1", "kind": "Namespace", "metadata": ["name": "csi-hostpath"]])
            for name in Set(secrets) {
                try scene.server.create([
                    "apiVersion": "v1", "kind": "Secret",
                    "metadata": ["namespace": "csi-hostpath", "name": .string(name)],
                    // Base64 of "of one" or "of two".
                    "data": ["password": name == "one" ? "b2Ygb25l" : "b2YgdHdv"],
                ])
            }
            for (volume, secret) in zip(volumes, secrets) {
                try volume.create(in: scene.server)
                try scene.server.patch(
                    kind: "PersistentVolume",
                    name: volume.volumeName,
                    [
                        "spec": [
                            "csi": [
                                "controllerPublishSecretRef": ["namespace": "csi-hostpath", "name": .string(secret)]
                            ]
                        ]
                    ]
                )
                scene.driver.set(health: [.init(status: 1, reason: "Slow")], ofVolume: volume.handle)
            }
        }
    }

    @Test func `every call has the Secret of its volume, and each Secret is read once`() async throws {
        try await Scene.run {
            $0.volumeSecrets = .controllerPublish
        } prepare: { scene in
            try Self.prepare(["one", "two"], capabilities: [16])(scene)
        } _: { scene in
            while scene.driver.journal.calls("ControllerGetVolumeHealth").count < 6 {
                await scene.clock.sleeper(ofAtLeast: .nanoseconds(1), atMost: .seconds(60))
                scene.clock.advance(by: .seconds(1))
                await pollingPause()
            }
            for call in scene.driver.journal.calls("ControllerGetVolumeHealth") {
                let name = call.volumeID == Self.volumes[0].handle ? "of one" : "of two"
                #expect(call.secrets == ["password": name])
            }
            let reads = scene.server.journal.records.map(\.request).filter { $0.resource == "secrets" }
            #expect(reads.count == 2)
            #expect(reads.allSatisfy { $0.verb == .get })
        }
    }

    @Test(arguments: [(["one", "one"], ["password": "of one"]), (["one", "two"], [:])])
    func `a list has the Secret that all volumes share`(names: [String], sent: [String: String]) async throws {
        try await Scene.run {
            $0.volumeSecrets = .controllerPublish
        } prepare: { scene in
            try Self.prepare(names, capabilities: [16, 17])(scene)
        } _: { scene in
            await scene.driver.journal.wait(for: "ControllerListVolumeHealth", count: 1)
            #expect(scene.driver.journal.calls("ControllerListVolumeHealth").first?.secrets == sent)
        }
    }

    @Test func `without the flag, no Secret is read or sent`() async throws {
        try await Scene.run(prepare: Self.prepare(["one", "one"], capabilities: [16, 17])) { scene in
            _ = await scene.write(2)
            #expect(scene.driver.journal.calls("ControllerListVolumeHealth").first?.secrets == [:])
            #expect(!scene.server.journal.records.contains { $0.request.resource == "secrets" })
        }
    }

    @Test(.tags(.rule1)) func `a Secret that cannot be read changes no health`() async throws {
        try await Scene.run {
            $0.volumeSecrets = .controllerPublish
        } prepare: { scene in
            try Self.prepare(["one", "one"], capabilities: [16, 17])(scene)
            try scene.server.delete(kind: "Secret", namespace: "csi-hostpath", name: "one")
        } _: { scene in
            _ = await scene.server.journal.first { $0.request.resource == "secrets" && $0.code == 404 }
            // The list is retried soon, and succeeds once the Secret exists.
            try scene.server.create([
                "apiVersion": "v1", "kind": "Secret", "metadata": ["namespace": "csi-hostpath", "name": "one"],
                "data": ["password": "b2Ygb25l"],
            ])
            while scene.driver.journal.calls("ControllerListVolumeHealth").isEmpty {
                await scene.clock.sleeper(ofAtLeast: .nanoseconds(1), atMost: Scene.interval)
                scene.clock.advance(by: .seconds(5))
                await pollingPause()
            }
            _ = await scene.write(2)
        }
    }
}
