// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Foundation
import GRPCTransport
import HealthMonitorTestKit
import Testing

/// The world with a scripted agent: a right and a wrong report in each state of a pod.
@Suite(.timeLimit(.minutes(50))) struct SimulatedNodeWorldTests {
    private func withWorld(
        endDelay: Duration = .zero,
        _ body: (inout SimulatedNodeWorld, SimulatedAPIServer) async throws -> Void
    ) async throws {
        try await withNode(endDelay: endDelay) { world, server, _ in try await body(&world, server) }
    }

    private func withNode(
        _ configuration: SimulatedDriver.Configuration = .legacyNode,
        endDelay: Duration,
        _ body: (inout SimulatedNodeWorld, SimulatedAPIServer, SimulatedDriver) async throws -> Void
    ) async throws {
        let directory = "/tmp/node-world-\(UUID().uuidString.prefix(8))"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: directory) }
        try await SimulatedAPIServer.withServer { server in
            let driver = SimulatedDriver(socket: "\(directory)/csi.sock", configuration: configuration)
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
                volumes: [VolumeFixture(number: 0)],
                endDelays: endDelay...endDelay
            )
            try await body(&world, server, driver)
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
            world.completePod(0)
            #expect(world.unsettled() == [])
            try world.advance()
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

    // MARK: A pod that ends by itself

    private static let volume = VolumeFixture(number: 0)
    private static let notMounted = "The volume isn't mounted"

    private func phase(_ server: SimulatedAPIServer) throws -> JSONValue? {
        try server.object(kind: "Pod", namespace: "default", name: "app-0")?["status", "phase"]
    }

    /// What a driver of CSI 1.12 says of the volume of a pod.
    private func stats(_ driver: SimulatedDriver, podUID: String) async throws -> Result<String, GRPCError> {
        let root = driver.socket.dropLast("csi.sock".count) + "kubelet"
        let path = Self.volume.publishPath(podUID: podUID, kubeletRoot: String(root))
        // A length from 128 to 255 has two bytes.
        let length = [UInt8(path.utf8.count & 0x7F | 0x80), 1]
        let request = [0x0A] + counted(Self.volume.handle) + [0x12] + length + path.utf8
        let channel = try GRPCChannel(target: driver.socket)
        let result: Result<String, GRPCError>
        do throws(GRPCError) {
            let reply = try await channel.unary(
                "/csi.v1.Node/NodeGetVolumeStats",
                request: request,
                timeout: .seconds(3600)
            )
            result = .success(String(decoding: reply, as: UTF8.self))
        } catch {
            result = .failure(error)
        }
        await channel.shutdown()
        return result
    }

    @Test func `its volume is unmounted before the API server has the end`() async throws {
        try await withNode(endDelay: .zero) { world, server, driver in
            try driver.start()
            let ended = try uid(server)
            #expect(try await !stats(driver, podUID: ended).get().contains(Self.notMounted))
            world.completePod(0)
            #expect(world.lacksEnd)
            #expect(try phase(server) == "Running")
            #expect(try await stats(driver, podUID: ended).get().contains(Self.notMounted))

            // The next pod of this name waits for the end.
            try world.startPod(0)
            #expect(try uid(server) == ended)
            try world.advance()
            #expect(!world.lacksEnd)
            let next = try uid(server)
            #expect(next != ended)
            await #expect(throws: GRPCError.self) { try await stats(driver, podUID: ended).get() }
            #expect(try await !stats(driver, podUID: next).get().contains(Self.notMounted))
            await driver.stop()
        }
    }

    @Test func `its end comes when the delay is over`() async throws {
        try await withWorld(endDelay: .seconds(1_000_000)) { world, server in
            world.completePod(0)
            try world.advance()
            #expect(world.lacksEnd)
            #expect(try phase(server) == "Running")
        }
    }

    /// Of a volume that was reported as unhealthy, other conditions are reported at once.
    @Test(
        .tags(.promiseF),
        arguments: [
            (SimulatedDriver.Configuration.legacyNode, false, ""), (.legacyNode, true, ""),
            (.healthNode, false, "Inaccessible (NotMounted): "), (.healthNode, true, "Inaccessible (NotMounted): "),
        ]
    )
    func `an event on its unmounted volume is a broken promise, unless the volume was unhealthy`(
        configuration: SimulatedDriver.Configuration,
        isUnhealthy: Bool,
        prefix: String
    ) async throws {
        try await withNode(configuration, endDelay: .seconds(1_000_000)) { world, server, _ in
            if isUnhealthy { world.set("broken", ofVolume: 0) }
            let pod = try uid(server)
            world.completePod(0)
            let client = try APIClient(server)
            let response = try await client.send(
                "POST",
                "/api/v1/namespaces/default/events",
                body: [
                    "apiVersion": "v1", "kind": "Event", "metadata": ["namespace": "default", "name": "e"],
                    "involvedObject": ["kind": "Pod", "namespace": "default", "name": "app-0", "uid": .string(pod)],
                    "reason": "VolumeConditionAbnormal", "type": "Warning", "count": 1,
                    "message": .string("Volume data (claim csi-pvc): \(prefix)\(Self.notMounted)"),
                ]
            )
            #expect(response.status == 201)
            await client.shutdown()
            world.observe()
            #expect(world.ledger.violations.map(\.promise) == (isUnhealthy ? [] : ["f"]))
        }
    }
}
