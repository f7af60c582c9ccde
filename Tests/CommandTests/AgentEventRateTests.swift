// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Foundation
import HealthMonitorTestKit
import KubernetesClient
import Logging
import NodeMonitor
import Synchronization
import Testing

@testable import csi_health_monitor

/// The agents of all nodes record events at the same time when a storage backend fails.
@Suite(.timeLimit(.minutes(50))) struct AgentEventRateTests {
    private static let volumes = (0..<12).map { VolumeFixture(number: $0) }

    @Test func `an agent records five events at once, then one per second`() async throws {
        let directory = "/tmp/er-\(UUID().uuidString.prefix(8))"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: directory) }
        try await SimulatedAPIServer.withServer { server in
            let driver = SimulatedDriver(socket: "\(directory)/csi.sock", configuration: .legacyNode)
            for (number, volume) in Self.volumes.enumerated() {
                try volume.create(in: server)
                driver.set(nodeCondition: .abnormal("gone"), ofVolume: volume.handle)
                try PodFixture(name: "app-\(number)", nodeName: "n1", claimNames: [volume.claimName]).create(in: server)
            }
            try server.writeKubeconfig(to: "\(directory)/kubeconfig")
            try driver.start()
            let clock = StoppedClock()
            let result = await Self.result {
                try await Self.record(server, driver, kubeconfig: "\(directory)/kubeconfig", clock)
            }
            await driver.stop()
            try result.get()
            #expect(clock.sleeps.sorted() == (1...7).map { .seconds($0) })
        }
    }

    /// Runs an agent until it has recorded the events of all volumes.
    ///
    /// - Parameter eventClock: of the client of events.
    private static func record(
        _ server: SimulatedAPIServer,
        _ driver: SimulatedDriver,
        kubeconfig: String,
        _ eventClock: StoppedClock
    ) async throws {
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        let client: (RateLimit?, any Clock<Duration>) throws -> KubernetesClient = { limit, clock in
            try KubernetesClient(
                configuration: .load(kubeconfig: kubeconfig),
                userAgent: "test",
                rateLimit: limit,
                connectTimeout: .seconds(3600),
                requestTimeout: .seconds(3600),
                logger: logger,
                clock: clock
            )
        }
        let clock = ManualClock()
        let (kubernetes, events) = try (client(nil, clock), client(AgentService.eventRateLimit, eventClock))
        var configuration = NodeMonitorConfiguration(nodeName: "n1", drivers: .socket(driver.socket))
        configuration.startJitter = .zero
        configuration.timeout = .seconds(3600)
        let monitor = NodeMonitor(
            configuration: configuration,
            kubernetes: kubernetes,
            events: events,
            clock: clock,
            logger: logger,
            random: { 0.5 }
        )
        let result = await result {
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await monitor.run() }
                group.addTask(priority: .background) {
                    while try server.objects(kind: "Event").count < volumes.count {
                        await clock.sleeper(ofAtLeast: .nanoseconds(1), atMost: .seconds(86_400))
                        clock.advance(by: .seconds(1))
                        try await cancellablePollingPause()
                    }
                }
                try await group.next()
                group.cancelAll()
            }
        }
        await kubernetes.shutdown()
        await events.shutdown()
        try result.get()
    }

    private static func result(_ body: () async throws -> Void) async -> Result<Void, any Error> {
        do { return .success(try await body()) } catch { return .failure(error) }
    }
}

/// A clock whose sleeps are recorded and end at once, without time passing.
private final class StoppedClock: Clock, Sendable {
    private let recorded = Mutex<[Duration]>([])

    let now = ManualClock().now
    var minimumResolution: Duration { .zero }
    var sleeps: [Duration] { recorded.withLock(\.self) }

    func sleep(until deadline: ManualClock.Instant, tolerance: Duration?) async throws {
        recorded.withLock { $0.append(deadline.offset) }
    }
}
