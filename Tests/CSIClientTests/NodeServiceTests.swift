// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import GRPCTransport
import HealthMonitorTestKit
import Synchronization
import Testing

@testable import CSIClient

@Suite(.timeLimit(.minutes(50))) struct NodeServiceTests {
    // MARK: Identity

    @Test func `the identity of a node plugin has the capabilities of its node service`() async throws {
        var configuration = SimulatedDriver.Configuration.healthNode
        configuration.nodeCapabilities = [1, 2, 3, 4, 5, 6, 7, 8, 99]
        try await withDriver(configuration) { driver, client in
            let identity = try await client.waitForIdentity(of: .node, clock: ManualClock())
            #expect(identity.name == "hostpath.csi.k8s.io")
            #expect(
                identity.nodeCapabilities
                    == [.stageUnstageVolume, .getVolumeStats, .volumeCondition, .getVolumeHealth, .getStorageHealth]
            )
            #expect(identity.controllerCapabilities.isEmpty)
            #expect(driver.journal.calls("ControllerGetCapabilities").isEmpty)
        }
    }

    @Test(
        arguments: [
            ([1], [.stageUnstageVolume]), ([2], [.getVolumeStats]), ([4], [.volumeCondition]),
            ([7], [.getVolumeHealth]), ([8], [.getStorageHealth]), ([3, 5, 6, 0, 9], []), ([], []),
        ] as [([Int], Set<NodeCapability>)]
    )
    func `a node capability does not imply another`(numbers: [Int], capabilities: Set<NodeCapability>) async throws {
        try await withDriver(.init(controllerCapabilities: nil, nodeCapabilities: numbers)) { _, client in
            let identity = try await client.identity(of: .node)
            #expect(identity.nodeCapabilities == capabilities)
        }
    }

    @Test func `a driver without a node service has no node capabilities`() async throws {
        try await withDriver(.legacy) { driver, client in
            let identity = try await client.identity(of: .node)
            #expect(identity.nodeCapabilities.isEmpty)
            #expect(driver.journal.calls("NodeGetCapabilities").count == 1)
        }
    }

    @Test func `the controller's identity does not call the node service`() async throws {
        try await withDriver(.init(nodeCapabilities: [4])) { driver, client in
            let identity = try await client.identity()
            #expect(identity.controllerCapabilities == [.listVolumes, .volumeCondition, .getVolume])
            #expect(identity.nodeCapabilities.isEmpty)
            #expect(driver.journal.calls("NodeGetCapabilities").isEmpty)
        }
    }

    @Test func `any other error of NodeGetCapabilities is retried`() async throws {
        try await withDriver(.legacyNode) { driver, client in
            let failures = Mutex(0)
            driver.intercept { call in
                guard call.method.hasSuffix("NodeGetCapabilities") else { return nil }
                return failures.withLock { count in
                    count += 1
                    return count == 1 ? .fail(.internal, "starting") : nil
                }
            }
            let clock = ManualClock()
            let identification = Task { try await client.waitForIdentity(of: .node, clock: clock) }
            await clock.sleeper(ofAtLeast: .seconds(1))
            clock.advance(by: .seconds(1))
            let identity = try await identification.value
            #expect(identity.nodeCapabilities == [.stageUnstageVolume, .getVolumeStats, .volumeCondition])
        }
    }

    // MARK: NodeGetVolumeStats

    @Test func `NodeGetVolumeStats sends the volume and its path`() async throws {
        try await withDriver(.legacyNode) { driver, client in
            driver.volumes = [SimulatedVolume(id: "a")]
            driver.set(nodeCondition: .abnormal("The volume isn't mounted"), ofVolume: "a")
            let condition = try await client.nodeGetVolumeStats(id: "a", volumePath: "/pods/1/mount")
            #expect(condition == .init(isAbnormal: true, message: "The volume isn't mounted"))
            let call = try #require(driver.journal.calls("NodeGetVolumeStats").first)
            #expect((call.volumeID, call.volumePath) == ("a", "/pods/1/mount"))
            #expect(call.stagingTargetPath.isEmpty)
        }
    }

    private func stats(_ bytes: [UInt8]) async throws -> Result<DriverVolume.Condition?, any Error> {
        try await withResult { _, _ in
            .success(bytes)
        } _: {
            try await $0.nodeGetVolumeStats(id: "a", volumePath: "/p")
        }
    }

    @Test func `a condition of length 0 is healthy`() async throws {
        let condition = try await stats(Wire.message(1, Wire.integer(1, 5)) + [0x12, 0]).get()
        #expect(condition == .init(isAbnormal: false, message: ""))
    }

    @Test(arguments: [[], [0x0A, 0], Wire.message(1, Wire.integer(2, 9)) + Wire.text(9, "new")] as [[UInt8]])
    func `a response without a condition reports none`(bytes: [UInt8]) async throws {
        let condition = try await stats(bytes).get()
        #expect(condition == nil)
    }

    @Test func `a condition in several fields is merged, as protobuf requires`() async throws {
        let bytes = Wire.message(2, Wire.integer(1, 1)) + Wire.message(2, Wire.text(2, "gone"))
        let condition = try await stats(bytes).get()
        #expect(condition == .init(isAbnormal: true, message: "gone"))
    }

    @Test(
        arguments: [
            ([0xFF, 0xFF], "invalid protobuf field"), ([0x12, 5, 0x08], "invalid protobuf field"),
            ([0x08, 7], "field 1 has another wire type"), ([0x10, 1], "field 2 has another wire type"),
            ([0x12, 3, 0x12, 1, 0xFF], "invalid protobuf field"),
        ] as [([UInt8], String)]
    )
    func `malformed statistics are an error`(bytes: [UInt8], problem: String) async throws {
        let result = try await stats(bytes)
        let error = #expect(throws: CSIError.self) { try result.get() }
        #expect(error?.code == .invalidResponse)
        #expect(error?.message.contains(problem) == true, "\(String(describing: error))")
    }

    @Test func `requests that the driver refuses are errors`() async throws {
        try await withDriver(.legacyNode) { driver, client in
            driver.volumes = [SimulatedVolume(id: "a")]
            func error(id: String, path: String) async -> CSIError? {
                await #expect(throws: CSIError.self) { try await client.nodeGetVolumeStats(id: id, volumePath: path) }
            }
            #expect(await error(id: "", path: "/p")?.code == .status(.invalidArgument))
            #expect(await error(id: "a", path: "")?.code == .status(.invalidArgument))
            #expect(await error(id: "b", path: "/p")?.isNotFound == true)
            driver.configuration.pathCheck = .exists
            #expect(await error(id: "a", path: "/no/such/path")?.isNotFound == true)
            let condition = try await client.nodeGetVolumeStats(id: "a", volumePath: "/tmp")
            #expect(condition?.isAbnormal == false)
        }
    }

    @Test func `a volume that is not mounted is abnormal`() async throws {
        try await withDriver(.legacyNode) { driver, client in
            driver.volumes = [SimulatedVolume(id: "a")]
            driver.configuration.pathCheck = .mounted
            let mounted = try await client.nodeGetVolumeStats(id: "a", volumePath: "/proc")
            #expect(mounted?.isAbnormal == false)
            let condition = try await client.nodeGetVolumeStats(id: "a", volumePath: "/proc/self")
            #expect(condition == .init(isAbnormal: true, message: "The volume isn't mounted"))
        }
    }

    @Test func `a path that hangs delays no other`() async throws {
        try await withDriver(.legacyNode) { driver, client in
            driver.volumes = [SimulatedVolume(id: "a"), SimulatedVolume(id: "b")]
            driver.respond(.never, atPath: "/hung")
            let hung = Task { try await client.nodeGetVolumeStats(id: "a", volumePath: "/hung") }
            await driver.journal.wait(for: "NodeGetVolumeStats", count: 1)
            let condition = try await client.nodeGetVolumeStats(id: "b", volumePath: "/p")
            #expect(condition?.isAbnormal == false)
            hung.cancel()
            let result = await hung.result
            let error = #expect(throws: CSIError.self) { try result.get() }
            #expect(error?.code == .status(.cancelled))
            driver.respond(nil, atPath: "/hung")
            let other = try await client.nodeGetVolumeStats(id: "a", volumePath: "/hung")
            #expect(other?.isAbnormal == false)
        }
    }

    // MARK: NodeGetVolumeHealth

    @Test func `NodeGetVolumeHealth sends both paths and returns every entry`() async throws {
        try await withDriver(.healthNode) { driver, client in
            driver.set(
                nodeHealth: [
                    .init(status: 2, reason: "MountDisconnected", message: "ENOTCONN"),
                    .init(status: 1, reason: "Slow"),
                    .init(status: 3, reason: ""), .init(status: 0, reason: "Zero"), .init(status: 77, reason: "New"),
                ],
                ofVolume: "a"
            )
            let health = try await client.nodeGetVolumeHealth(id: "a", publishPath: "/publish", stagingPath: "/staging")
            #expect(health.id == "a")
            #expect(
                health.entries.map(\.status) == [.inaccessible, .degraded, .dataLoss, .unknown(0), .unknown(77)]
            )
            #expect(health.entries.map(\.reason) == ["MountDisconnected", "Slow", "", "Zero", "New"])
            #expect(health.entries[0].message == "ENOTCONN")
            let call = try #require(driver.journal.calls("NodeGetVolumeHealth").first)
            #expect((call.volumeID, call.volumePath, call.stagingTargetPath) == ("a", "/publish", "/staging"))
        }
    }

    @Test func `the health of a node is not that of the controller`() async throws {
        try await withDriver(.init(controllerCapabilities: [16, 17], nodeCapabilities: [7])) { driver, client in
            driver.set(health: [.init(status: 3, reason: "Lost")], ofVolume: "a")
            let health = try await client.nodeGetVolumeHealth(id: "a", publishPath: "", stagingPath: "")
            #expect(health.entries.isEmpty)
            let controllerHealth = try await client.getVolumeHealth(id: "a")
            #expect(controllerHealth.entries.map(\.status) == [.dataLoss])
        }
    }

    @Test(
        arguments: [
            ([], "has no volume_health"),
            (Wire.message(1, Wire.text(1, "b")), "the response is for \"b\""),
            ([0x0A, 0], "the response is for \"\""),
            ([0x08, 1], "field 1 has another wire type"),
            ([0xFF, 0xFF], "cannot be decoded"),
        ] as [([UInt8], String)]
    )
    func `a reply without the volume's health on the node is an error`(bytes: [UInt8], problem: String) async throws {
        let result = try await withResult { _, _ in
            .success(bytes)
        } _: { client in
            try await client.nodeGetVolumeHealth(id: "a", publishPath: "/p", stagingPath: "")
        }
        let error = #expect(throws: CSIError.self) { try result.get() }
        #expect(error?.code == .invalidResponse)
        #expect(error?.method == "/csi.v1.Node/NodeGetVolumeHealth")
        #expect(error?.message.contains(problem) == true, "\(String(describing: error))")
    }

    @Test func `NodeGetVolumeHealth needs an id and a volume, but no path`() async throws {
        try await withDriver(.healthNode) { driver, client in
            driver.volumes = [SimulatedVolume(id: "a")]
            func error(id: String) async -> CSIError? {
                await #expect(throws: CSIError.self) {
                    try await client.nodeGetVolumeHealth(id: id, publishPath: "/p", stagingPath: "")
                }
            }
            #expect(await error(id: "")?.code == .status(.invalidArgument))
            #expect(await error(id: "b")?.isNotFound == true)
            let health = try await client.nodeGetVolumeHealth(id: "a", publishPath: "", stagingPath: "")
            #expect(health.entries.isEmpty)
        }
    }

    // MARK: Observation

    @Test func `calls of the node service are observed and traced`() async throws {
        let log = makeLog()
        let seen = Mutex<[String]>([])
        let observer: @Sendable (CSIClient.CallObservation) -> Void = { call in
            seen.withLock { $0.append("\(call.method) \(call.code) \(call.isUsable)") }
        }
        try await withDriver(.legacyNode, logger: log.logger, observer: observer) { driver, client in
            driver.volumes = [SimulatedVolume(id: "a")]
            _ = try await client.nodeGetVolumeStats(id: "a", volumePath: "/p/mount")
            driver.intercept { _ in .reply([]) }
            _ = try? await client.nodeGetVolumeHealth(id: "a", publishPath: "/p/mount", stagingPath: "/s")
            driver.intercept { _ in .fail(.unavailable, "gone") }
            _ = try? await client.nodeGetStorageHealth()
        }
        #expect(
            seen.withLock { $0 } == [
                "/csi.v1.Node/NodeGetVolumeStats OK true", "/csi.v1.Node/NodeGetVolumeHealth OK false",
                "/csi.v1.Node/NodeGetStorageHealth Unavailable false",
            ]
        )
        #expect(log.text().contains(#"{"volumeId":"a","volumePath":"/p/mount"}"#), "\(log.text())")
    }

    /// Runs a client against a server whose responses come from `handler`.
    private func withResult<R: Sendable>(
        _ handler: @escaping GRPCServer.Handler,
        _ body: (CSIClient) async throws -> R
    ) async throws -> Result<R, any Error> {
        var result: Result<R, any Error>?
        try await withResponses(handler) { client in
            do {
                result = .success(try await body(client))
            } catch {
                result = .failure(error)
            }
        }
        return try #require(result)
    }
}
