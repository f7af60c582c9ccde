// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Foundation
import HealthMonitorTestKit
import Testing

/// The world with a scripted agent: a right and a wrong report in each state of a pod.
@Suite(.timeLimit(.minutes(30))) struct SimulatedNodeWorldTests {
    private func withWorld(_ body: (inout SimulatedNodeWorld, SimulatedAPIServer) async throws -> Void) async throws {
        let directory = "/tmp/node-world-\(UUID().uuidString.prefix(8))"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: directory) }
        try await SimulatedAPIServer.withServer { server in
            let driver = SimulatedDriver(socket: "\(directory)/csi.sock", configuration: .legacyNode)
            let registration = SimulatedPluginRegistration(
                socket: "\(directory)/reg.sock",
                info: .init(name: driver.configuration.name, endpoint: driver.socket)
            )
            var world = try SimulatedNodeWorld(
                server: server,
                driver: driver,
                registration: registration,
                kubeletRoot: "\(directory)/kubelet",
                nodeName: "minikube",
                volumes: [VolumeFixture(number: 0)]
            )
            try await body(&world, server)
        }
    }

    private func uid(_ server: SimulatedAPIServer) throws -> String {
        try server.object(kind: "Pod", namespace: "default", name: "app-0")?["metadata", "uid"]?.string ?? ""
    }

    @Test func `a volume is reported for its pod while it lives`() async throws {
        try await withWorld { world, server in
            #expect(world.unsettled() == [])
            world.set("broken", ofVolume: 0)
            #expect(world.unsettled().map(\.promise) == ["a"])
            #expect(world.unsettled().first?.description.contains("Volume data (claim csi-pvc): broken") == true)
            try world.replacePod(0)
            #expect(world.unsettled() == [])
            try world.startPod(0)
            #expect(world.unsettled().map(\.promise) == ["a"])
            try world.completePod(0)
            #expect(world.unsettled() == [])
        }
    }

    @Test func `a replaced pod has another uid and has not started`() async throws {
        try await withWorld { world, server in
            let old = try uid(server)
            try world.replacePod(0)
            let new = try uid(server)
            #expect(new != old)
            let pod = try server.object(kind: "Pod", namespace: "default", name: "app-0")
            #expect(pod?["status", "phase"] == "Pending")
            #expect(pod?["status", "containerStatuses"]?.array?.first?["state", "waiting"] != nil)
            try world.startPod(0)
            #expect(try uid(server) == new)
            #expect(
                try server.object(kind: "Pod", namespace: "default", name: "app-0")?["status", "phase"] == "Running"
            )
        }
    }
}
