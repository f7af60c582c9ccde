// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import GRPCTransport
import HealthMonitorTestKit
import NodeMonitor
import Testing

/// An agent that starts where another one has reported (rule 9), and drivers that are restarted.
@Suite(.timeLimit(.minutes(50))) struct RestartTests {
    static let handle = VolumeFixture(number: 0).handle

    /// One abnormal volume, reported by an agent that has ended.
    private static func afterReport(_ body: (NodeScene) async throws -> Void) async throws {
        try await NodeScene.set { scene in
            try scene.createPod()
            scene.set("gone", ofVolume: handle)
            try await scene.monitor { _ in try await scene.advance(untilEvents: 1) }
            _ = scene.server.journal.takeAll()
            try await body(scene)
        }
    }

    @Test(.tags(.rule9)) func `a lasting condition is not reported again after a restart`() async throws {
        try await Self.afterReport { scene in
            try await scene.monitor { _ in
                try await scene.advance(untilProbedAgain: Self.handle, 5)
                let events = try scene.events()
                #expect(events.map { $0["count"] } == [1])
                // The event on the conditions was read by its name; there is none on a recovery.
                #expect(scene.requests(for: "events").map(\.verb) == [.get, .get])
            }
        }
    }

    @Test(.tags(.rule9)) func `a recovery between two processes is recorded once`() async throws {
        try await Self.afterReport { scene in
            scene.set(nil, ofVolume: Self.handle)
            try await scene.monitor { _ in
                try await scene.advance(untilEvents: 2)
                try await scene.advance(untilProbedAgain: Self.handle, 3)
            }
            try await scene.monitor { _ in try await scene.advance(untilProbedAgain: Self.handle, 5) }
            let events = try scene.events()
            #expect(events.map { $0["reason"] } == ["VolumeConditionAbnormal", "VolumeConditionNormal"])
            #expect(events.map { $0["count"] } == [1, 1])
        }
    }

    @Test(.tags(.rule9)) func `another condition than the reported one is a transition`() async throws {
        try await NodeScene.set(.healthNode) { scene in
            try scene.createPod()
            scene.set("gone", ofVolume: Self.handle)
            try await scene.monitor { _ in try await scene.advance(untilEvents: 1) }
            let corrupt = SimulatedVolume.HealthEntry(status: 3, reason: "Corrupt", message: "lost")
            scene.driver.set(nodeHealth: [corrupt], ofVolume: Self.handle)
            try await scene.monitor { _ in
                try await scene.advance { try scene.events().first?["count"] != 1 }
                #expect(
                    try scene.events().map { $0["message"] } == [
                        "Volume data-0 (claim csi-pvc): DataLoss (Corrupt): lost"
                    ]
                )
            }
        }
    }

    @Test(.tags(.rule9)) func `where events cannot be read back the agent goes on without`() async throws {
        try await NodeScene.run { scene in
            try scene.createPod()
            scene.set("gone", ofVolume: Self.handle)
            scene.server.intercept { request in
                request.resource == "events" && request.verb == .get
                    ? .fail(StatusError(code: 403, reason: "Forbidden", message: "no")) : nil
            }
        } _: { scene, _ in
            try await scene.advance(untilEvents: 1)
        }
    }

    @Test func `a driver that begins with healthy after a restart has not recovered its volumes`() async throws {
        try await NodeScene.run { scene in
            try scene.createPod()
            scene.set("gone", ofVolume: Self.handle)
        } _: { scene, _ in
            try await scene.advance(untilEvents: 1)
            await scene.driver.stop()
            scene.set(nil, ofVolume: Self.handle)
            try scene.driver.start()
            try await scene.advance(untilProbedAgain: Self.handle, 1)
            scene.set("gone", ofVolume: Self.handle)
            try await scene.advance(untilProbedAgain: Self.handle, 3)
            #expect(try scene.events().map { $0["count"] } == [1])
        }
    }

    /// As after a forced deletion of the driver's pod on a node where its process hangs in the kernel.
    @Test(arguments: [nil, .deadlineExceeded, .failedPrecondition] as [GRPCStatus.Code?])
    func `the driver that has the socket is monitored, also while an earlier process keeps its connections`(
        failure: GRPCStatus.Code?
    ) async throws {
        try await NodeScene.run { scene in
            try scene.createPod()
        } _: { scene, monitor in
            try await scene.advance(untilProbed: Self.handle, 1)
            if let failure {
                scene.driver.intercept { _ in .fail(failure, "not this one") }
                try await scene.advance {
                    monitor.status().drivers.first.map { !$0.isConnected || $0.isHanging } == true
                }
            }
            let driver = SimulatedDriver(socket: scene.driver.socket, configuration: .legacyNode)
            driver.set(nodeCondition: .abnormal("gone"), ofVolume: Self.handle)
            try driver.start()
            try await scene.advance(untilEvents: 1)
            #expect(try scene.events().first?["message"]?.string?.hasSuffix("gone") == true)
            let calls = scene.driver.journal.records.count
            try await scene.advance { driver.journal.calls("NodeGetVolumeStats").count > 5 }
            #expect(scene.driver.journal.records.count == calls)
            await driver.stop()
        }
    }

    @Test func `another driver on the socket ends the agent`() async throws {
        try await NodeScene.set { scene in
            let error = await #expect(throws: DriverRenamedError.self) {
                try await scene.monitor { monitor in
                    try await scene.advance { monitor.status().drivers.first?.isConnected == true }
                    await scene.driver.stop()
                    scene.driver.configuration.name = "other.csi.k8s.io"
                    try scene.driver.start()
                    try await scene.advance { false }
                }
            }
            #expect(error?.expected == NodeScene.driverName)
            #expect(error?.found == "other.csi.k8s.io")
        }
    }
}
