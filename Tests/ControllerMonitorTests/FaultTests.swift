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

/// Every fault of the fault plan, against every generation: a minute of it, in which one volume recovers and another one
/// breaks. After it, everything has been reported, once.
@Suite(.timeLimit(.minutes(30))) struct FaultTests {
    enum Generation: CaseIterable {
        case legacy, health

        var configuration: SimulatedDriver.Configuration {
            switch self {
            case .legacy: .legacy
            case .health: .health
            }
        }
    }

    /// A world has connections and many tasks: not all at once.
    private static let slots = Slots(12)

    @Test(arguments: Fault.all, Generation.allCases)
    func `nothing is lost nothing is reported twice and no error is health`(
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
            world.set(.well, ofVolume: 0)
            world.set(.unhealthy("second"), ofVolume: 1)
            // A silent watch is given up after a real minute: that is for chaos runs.
            if fault != .apiServer(.silentWatches) { try world.recreateClaim(ofVolume: 1) }
            // It lasts a minute on the monitor's clock: several lists, writes and their repetitions.
            try await clock.sleep(for: .seconds(60))
            world.observe()
            try await world.end(fault)
            try await world.complete(clock)
            world.set(.well, ofVolume: 1)
            try await world.complete(clock)

            #expect(world.ledger.violations == [], "\(world.history.joined(separator: "\n"))")
            // By four states three reports at least; a claim made anew is another one.
            #expect(world.ledger.reports >= 3)
        }
    }
}

extension Fault {
    /// Whether it ends only for a client that gives requests or calls up.
    fileprivate var isSilence: Bool {
        [.driver(.slow), .apiServer(.noAnswers), .apiServer(.lateAnswers)].contains(self)
    }
}

extension SimulatedWorld {
    /// Returns when everything has been reported, and stays so for two more lists.
    fileprivate mutating func complete(_ clock: AcceleratedClock) async throws {
        while try !unsettled().isEmpty {
            try Task.checkCancellation()
            try await clock.sleep(for: .seconds(1))
        }
        try await clock.sleep(for: FaultScene.interval * 2)
    }
}

/// A monitor on a fast clock in a world of two volumes.
enum FaultScene {
    static let interval = Duration.seconds(10)
    private static let factor = 100

    /// How long requests and calls may take, in real time.
    enum Deadlines {
        /// Several times in a fault.
        case short
        /// For ever: a slow machine is no fault.
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

extension Result where Success == Void, Failure == any Error {
    fileprivate init(_ body: () async throws -> Void) async {
        do {
            self = .success(try await body())
        } catch {
            self = .failure(error)
        }
    }
}

/// Lets so many through at a time.
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
