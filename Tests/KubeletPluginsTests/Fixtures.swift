// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Foundation
import HealthMonitorTestKit
import InMemoryLogging
import Logging
import Synchronization

@testable import KubeletPlugins

/// A kubelet's root directory, which exists for as long as `body` runs.
func withKubeletRoot<R>(_ body: (KubeletDirectories) async throws -> R) async throws -> R {
    let directories = KubeletDirectories(root: "/tmp/kubelet-\(UUID().uuidString.prefix(13))")
    try FileManager.default.createDirectory(
        atPath: directories.pluginsRegistry,
        withIntermediateDirectories: true
    )
    defer { try? FileManager.default.removeItem(atPath: directories.root) }
    return try await body(directories)
}

/// Runs a registrar for as long as `body` runs.
func withRegistrar<R>(
    _ socket: String,
    _ info: SimulatedPluginRegistration.Info,
    _ body: (SimulatedPluginRegistration) async throws -> R
) async throws -> R {
    let registrar = SimulatedPluginRegistration(socket: socket, info: info)
    try registrar.start()
    do {
        let result = try await body(registrar)
        await registrar.stop()
        return result
    } catch {
        await registrar.stop()
        throw error
    }
}

/// A discovery that runs on a clock of its own.
final class RunningDiscovery: Sendable {
    let discovery: PluginDiscovery
    let clock = ManualClock()
    private let handler: InMemoryLogHandler
    private let state = Mutex<[[RegisteredPlugin]]>([])

    init(_ directories: KubeletDirectories, timeout: Duration = .seconds(3600)) {
        let handler = InMemoryLogHandler()
        self.handler = handler
        discovery = PluginDiscovery(
            configuration: .init(kubeletRoot: directories.root, timeout: timeout),
            logger: Logger(label: "test") { _ in handler }
        )
    }

    /// All sets of drivers so far.
    var changes: [[RegisteredPlugin]] { state.withLock { $0 } }

    var log: String {
        handler.entries.map { "\($0.level) \($0.message) \($0.metadata)" }.joined(separator: "\n")
    }

    /// Runs the discovery for as long as `body` runs.
    func run<R>(_ body: () async throws -> R) async throws -> R {
        let task = Task {
            try await discovery.run(clock: clock) { plugins in state.withLock { $0.append(plugins) } }
        }
        do {
            let result = try await body()
            task.cancel()
            _ = await task.result
            return result
        } catch {
            task.cancel()
            _ = await task.result
            throw error
        }
    }

    /// Advances the clock, one interval at a time, until `condition` holds.
    func advance(until condition: () -> Bool) async {
        while !condition() {
            clock.advance(by: .seconds(10))
            await pollingPause()
        }
    }

    /// Waits for `condition` without advancing the clock.
    func wait(until condition: () -> Bool) async {
        while !condition() { await pollingPause() }
    }

    /// Reads the directory `count` times more.
    func readAgain(_ count: Int = 1) async {
        for _ in 0..<count {
            await clock.sleeper(ofAtLeast: .seconds(10))
            clock.advance(by: .seconds(10))
        }
        await clock.sleeper(ofAtLeast: .seconds(10))
    }
}
