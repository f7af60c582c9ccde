// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import CSIClient
import ControllerMonitor
import Foundation
import HealthMonitorTestKit
import HealthRuntime
import KubernetesClient
import Synchronization
import Testing

/// Every fault of the fault plan, with drivers of both generations. It lasts a minute, in which one volume recovers and
/// another breaks. After it, every change has been reported once.
@Suite(.timeLimit(.minutes(50))) struct FaultTests {
    enum Generation: CaseIterable {
        case legacy, health

        var configuration: SimulatedDriver.Configuration {
            switch self {
            case .legacy: .legacy
            case .health: .health
            }
        }
    }

    /// A world has connections and many tasks, so only some run at the same time.
    private static let slots = Slots(12)

    @Test(arguments: Fault.all, Generation.allCases)
    func `no change is lost or reported twice, and no error counts as healthy`(
        _ fault: Fault,
        _ generation: Generation
    ) async throws {
        await Self.slots.take()
        defer { Self.slots.give() }
        let deadlines: FaultScene.Deadlines = fault.isSilence ? .short : .ample
        try await FaultScene.run(generation.configuration, deadlines: deadlines) { world, clock in
            world.set(.unhealthy("first"), ofVolume: 0)
            try await world.complete(clock)

            try await world.begin(fault)
            world.set(.healthy, ofVolume: 0)
            world.set(.unhealthy("second"), ofVolume: 1)
            // A silent watch ends only after a minute of real time: that is left to chaos runs.
            if fault != .apiServer(.silentWatches) { try world.recreateClaim(ofVolume: 1) }
            // A minute on the monitor's clock: several lists, writes and retries.
            try await clock.sleep(for: .seconds(60))
            world.observe()
            // The restore must lose more versions than the server writes before the watches continue: otherwise its
            // versions do not show it (docs/reliability.md).
            if fault == .apiServer(.restoredFromBackup) { try await world.settle(clock) }
            try await world.end(fault)
            try await world.complete(clock)
            world.set(.healthy, ofVolume: 1)
            try await world.complete(clock)

            #expect(world.ledger.violations == [], "\(world.history.joined(separator: "\n"))")
            // Four states cause at least three reports. A recreated claim is another claim.
            #expect(world.ledger.reports >= 3)
        }
    }
}

extension Fault {
    /// Whether the fault ends only for a client whose requests or calls time out.
    fileprivate var isSilence: Bool {
        [.driver(.slow), .apiServer(.noResponses), .apiServer(.lateResponses)].contains(self)
    }
}

extension SimulatedWorld {
    /// Returns two lists after every change has been reported.
    fileprivate mutating func complete(_ clock: AcceleratedClock) async throws {
        try await settle(clock)
        try await clock.sleep(for: FaultScene.interval * 2)
    }

    /// Returns when every change has been reported. When the time limit ends first, it records what is missing.
    fileprivate mutating func settle(_ clock: AcceleratedClock) async throws {
        while try !unsettled().isEmpty {
            do {
                try await clock.sleep(for: .seconds(1))
            } catch {
                let missing = try unsettled().map(\.description)
                Issue.record("not reported: \(missing)\n\(history.joined(separator: "\n"))")
                throw error
            }
        }
    }
}

/// A monitor on an accelerated clock, with two volumes.
enum FaultScene {
    static let interval = Duration.seconds(10)
    private static let factor = 100

    /// The timeouts of requests and calls, in real time.
    enum Deadlines {
        /// Several timeouts within a fault.
        case short
        /// Never within a test: a slow machine is not a fault.
        case ample
    }

    static func run(
        _ configuration: SimulatedDriver.Configuration,
        deadlines: Deadlines = .ample,
        _ body: @escaping @Sendable (inout SimulatedWorld, AcceleratedClock) async throws -> Void
    ) async throws {
        let directory = FileManager.default.temporaryDirectory.appending(path: "hm-\(UUID().uuidString.prefix(13))")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: directory) }
        let tokenFile = directory.appending(path: "token").path
        let kubeconfig = directory.appending(path: "kubeconfig").path
        try Data("first-token".utf8).write(to: URL(fileURLWithPath: tokenFile))
        let driver = SimulatedDriver(socket: directory.appending(path: "csi.sock").path, configuration: configuration)
        var serverConfiguration = SimulatedAPIServer.Configuration()
        let rules = try await Manifests.example.rules
        serverConfiguration.users["first-token"] = APIUser(name: "csi-health-monitor", rules: rules)
        try await SimulatedAPIServer.withServer(configuration: serverConfiguration) { server in
            try server.writeKubeconfig(to: kubeconfig, .tokenFile(tokenFile))
            try driver.start()
            let clock = AcceleratedClock(factor: factor)
            let kubernetes = try KubernetesClient(
                configuration: .load(kubeconfig: kubeconfig),
                userAgent: "test",
                rateLimit: nil,
                connectTimeout: .seconds(3600),
                requestTimeout: deadlines == .short ? .milliseconds(100) : .seconds(3600),
                logger: quiet,
                clock: clock
            )
            let client = try CSIClient(
                configuration: .init(
                    address: driver.socket,
                    timeout: deadlines == .short ? .milliseconds(200) : .seconds(3600)
                ),
                logger: quiet
            )
            var monitorConfiguration = MonitorConfiguration(driverName: "hostpath.csi.k8s.io", identity: "pod-0")
            monitorConfiguration.listVolumesInterval = interval
            let monitor = HealthMonitor(
                configuration: monitorConfiguration,
                driver: client,
                kubernetes: kubernetes,
                clock: clock,
                logger: quiet
            )
            let result = await Result {
                var world = try SimulatedWorld(
                    server: server,
                    replicas: [.init(identity: "pod-0", driver: driver)],
                    volumes: (0..<2).map { VolumeFixture(number: $0) },
                    factor: factor,
                    tokenFiles: [tokenFile]
                )
                try await withThrowingTaskGroup(of: Void.self) { group in
                    group.addTask { try await monitor.run() }
                    defer { group.cancelAll() }
                    try await body(&world, clock)
                }
            }
            await kubernetes.shutdown()
            await client.shutdown()
            await driver.stop()
            try result.get()
        }
    }
}

/// Limits how many tests run at the same time.
private final class Slots: Sendable {
    private let state: Mutex<(free: Int, waiting: [CheckedContinuation<Void, Never>])>

    init(_ count: Int) {
        state = Mutex((count, []))
    }

    func take() async {
        await withCheckedContinuation { continuation in
            let isFree = state.withLock { state in
                if state.free == 0 {
                    state.waiting.append(continuation)
                    return false
                }
                state.free -= 1
                return true
            }
            if isFree { continuation.resume() }
        }
    }

    func give() {
        let next = state.withLock { state in
            if state.waiting.isEmpty {
                state.free += 1
                return nil as CheckedContinuation<Void, Never>?
            }
            return state.waiting.removeFirst()
        }
        next?.resume()
    }
}
