// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthMonitorTestKit
import HealthRuntime
import InMemoryLogging
import KubernetesClient
import Logging
import Testing

@testable import ControllerMonitor

/// Drivers that run on each node and know only its volumes (external-health-monitor#87, #99).
@Suite(.timeLimit(.minutes(50))) struct NodeDeploymentTests {
    static let mine = VolumeFixture(number: 0)
    static let other = VolumeFixture(number: 1)
    static let anywhere = VolumeFixture(number: 2)

    static func node(_ name: String, zone: String) -> JSONValue {
        [
            "apiVersion": "v1", "kind": "Node",
            "metadata": ["name": .string(name), "labels": ["topology.hostpath.csi/node": .string(zone)]],
        ]
    }

    static func affinity(_ zone: String) -> JSONValue {
        [
            "spec": [
                "nodeAffinity": [
                    "required": [
                        "nodeSelectorTerms": [
                            [
                                "matchExpressions": [
                                    [
                                        "key": "topology.hostpath.csi/node", "operator": "In",
                                        "values": [.string(zone)],
                                    ]
                                ]
                            ]
                        ]
                    ]
                ]
            ]
        ]
    }

    @Test func `watches are not reopened every half a minute on each node`() {
        var configuration = MonitorConfiguration(driverName: "d", identity: "i")
        configuration.reopensWatches = true
        #expect(configuration.watchLifetime == .short)
        configuration.nodeName = "node-a"
        #expect(configuration.watchLifetime == .long)
    }

    /// The driver of node a, which has only the first volume and returns NOT_FOUND for all others.
    static func prepare(_ capabilities: [Int]) -> (Scene) throws -> Void {
        { scene in
            scene.driver.configuration.controllerCapabilities = capabilities
            for (volume, zone) in [(mine, "a"), (other, "b"), (anywhere, "")] {
                try volume.create(in: scene.server)
                if !zone.isEmpty {
                    try scene.server.patch(kind: "PersistentVolume", name: volume.volumeName, affinity(zone))
                }
            }
            try scene.server.create(node("node-a", zone: "a"))
            try scene.server.create(node("node-b", zone: "b"))
            scene.driver.set(.abnormal("broken"), ofVolume: mine.handle)
        }
    }

    @Test(arguments: [[11, 12], [3, 11, 12], [3, 11]])
    func `only volumes that the node admits are probed and reported`(capabilities: [Int]) async throws {
        try await Scene.run {
            $0.nodeName = "node-a"
        } prepare: { scene in
            try Self.prepare(capabilities)(scene)
        } _: { scene in
            try await scene.advance { try !scene.events().isEmpty }
            try await scene.advance { scene.clock.now.offset > .seconds(1500) }
            let claims = try scene.events().map { $0["involvedObject", "name"]?.string ?? "" }
            #expect(Set(claims) == [Self.mine.claimName])
            let probed = Set(scene.driver.journal.calls("ControllerGetVolume").map(\.volumeID))
            #expect(probed.isSubset(of: [Self.mine.handle]))
        }
    }

    /// Two nodes may have one volume, and both monitors raise the count of its event.
    @Test func `the count of an event that the monitor of another node has raised is not lowered`() async throws {
        try await Scene.run {
            $0.nodeName = "node-a"
        } prepare: { scene in
            try Self.prepare([3, 11, 12])(scene)
        } _: { scene in
            try await scene.advance { try !scene.events().isEmpty }
            let name = try #require(try scene.events().first?["metadata", "name"]?.string)
            try scene.server.patch(kind: "Event", namespace: Self.mine.namespace, name: name, ["count": 50])
            try await scene.advance { try scene.events().first?["count"] != 50 }
            #expect(try scene.events().first?["count"] == 51)
        }
    }

    /// The driver runs on each node, beside a monitor without --node-deployment.
    @Test(arguments: [[11, 12], [3, 11, 12], [3, 11]])
    func `without the flag, a driver that knows only its node's volumes is named once, and no volume counts as lost`(
        capabilities: [Int]
    ) async throws {
        try await Scene.run {
            $0.hostNodeName = "a"
        } prepare: { scene in
            try Self.prepare(capabilities)(scene)
            try scene.server.delete(kind: "PersistentVolume", name: Self.anywhere.volumeName)
        } _: { scene in
            try await scene.advance { Self.advice(in: scene) == 1 }
            let end = scene.clock.now.offset + .seconds(1500)
            try await scene.advance { try scene.clock.now.offset > end && !scene.events().isEmpty }
            let claims = try scene.events().map { $0["involvedObject", "name"]?.string ?? "" }
            // There is no event about vanished volumes on the CSIDriver either.
            #expect(Set(claims) == [Self.mine.claimName])
            #expect(Self.advice(in: scene) == 1)
            #expect(!scene.log.entries.contains { "\($0.message)".contains("suspecting the driver") })
        }
    }

    /// The number of warnings that name the flag.
    private static func advice(in scene: Scene) -> Int {
        scene.log.entries.count { $0.level == .warning && "\($0.message)".contains("--node-deployment") }
    }

    @Test func `without the flag, a lost volume of this node is reported`() async throws {
        try await Scene.run {
            $0.hostNodeName = "a"
        } prepare: { scene in
            try Self.prepare([11, 12])(scene)
            try scene.server.delete(kind: "PersistentVolume", name: Self.anywhere.volumeName)
        } _: { scene in
            try await scene.advance { Self.advice(in: scene) == 1 }
            scene.driver.volumes = []
            try await scene.advance { try !Self.lost(in: scene).isEmpty }
            let lost = try Self.lost(in: scene)
            #expect(lost == [Self.mine.claimName])
        }
    }

    /// The claims with an event that says that their volume is missing.
    private static func lost(in scene: Scene) throws -> [String] {
        try scene.events().filter {
            $0["involvedObject", "kind"] == "PersistentVolumeClaim"
                && $0["message"]?.string?.contains("does not find") == true
        }.compactMap { $0["involvedObject", "name"]?.string }
    }

    @Test func `the monitored volumes follow the labels of the node`() async throws {
        try await Scene.run {
            $0.nodeName = "node-a"
        } prepare: { scene in
            try Self.prepare([11, 12])(scene)
            scene.driver.set(.abnormal("other"), ofVolume: Self.other.handle)
        } _: { scene in
            try await scene.advance { try scene.events().count == 1 }
            try scene.server.patch(
                kind: "Node",
                name: "node-a",
                ["metadata": ["labels": ["topology.hostpath.csi/node": "b"]]]
            )
            try await scene.advance { try scene.events().count == 2 }
            let messages = try scene.events().map { $0["message"] }
            #expect(messages == ["broken", "other"])
        }
    }
}
