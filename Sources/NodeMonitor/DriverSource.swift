// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import CSIClient
import GRPCTransport
import HealthRuntime
import KubeletPlugins
import Logging
import NodeCore
import Synchronization

/// The drivers of the node: one behind a fixed socket, or all that are registered with the kubelet.
final class DriverSource: Sendable {
    /// A driver that is monitored.
    private struct Running: Sendable {
        var plugin: RegisteredPlugin
        let monitor: DriverMonitor
        /// Signalled to end it.
        let end = WakeUp()
        /// Signalled when it has ended.
        let ended = WakeUp()
    }

    private let context: NodeContext
    private let calls: @Sendable (CSIClient.CallObservation) -> Void
    private let connected = ConnectedDrivers()
    private let discovery: PluginDiscovery?
    private let running = Mutex<[DriverMonitor]>([])

    init(_ context: NodeContext, calls: @escaping @Sendable (CSIClient.CallObservation) -> Void) {
        self.context = context
        self.calls = calls
        discovery =
            if case .registered = context.configuration.drivers {
                PluginDiscovery(
                    configuration: .init(kubeletRoot: context.configuration.kubeletRootPath),
                    logger: context.logger
                )
            } else {
                nil
            }
    }

    /// The monitored drivers, in no order.
    var monitors: [DriverMonitor] { running.withLock { $0 } }

    /// Why registered drivers may not be found; nil when they can be.
    var problem: String? { discovery?.problem }

    /// Monitors the drivers until cancelled.
    ///
    /// - Throws: ``DriverRenamedError``, `GRPCError` for an invalid address, both for a fixed socket only;
    ///   `CancellationError`.
    func run() async throws {
        try await runAll([
            { try await self.connected.probeStorage(self.context) },
            { try await self.monitorDrivers() },
        ])
    }

    private func monitorDrivers() async throws {
        switch context.configuration.drivers {
        case .socket(let address):
            let monitor = try monitor(at: address, registeredName: nil)
            running.withLock { $0 = [monitor] }
            try await monitor.run()
        case .registered(let only, let except):
            try await withThrowingDiscardingTaskGroup { group in
                var drivers: [String: Running] = [:]
                // Drivers that are no longer registered, until the state has forgotten them.
                var leaving: [String: WakeUp] = [:]
                try await discovery?.run(clock: context.time.clock) { plugins in
                    let selected = plugins.filter {
                        (only.isEmpty || only.contains($0.name)) && !except.contains($0.name)
                    }
                    let changed = selected.filter { drivers[$0.name]?.plugin.endpoint != $0.endpoint }
                    let started = changed.compactMap(start)
                    // One whose socket's address is invalid is not monitored, not even at its earlier socket.
                    let names = Set(selected.map(\.name)).subtracting(changed.map(\.name))
                        .union(started.map(\.plugin.name))
                    for (name, driver) in drivers where !names.contains(name) {
                        let removed = WakeUp()
                        driver.end.signal()
                        drivers[name] = nil
                        leaving[name] = removed
                        group.addTask { [context] in
                            await driver.ended.wait()
                            let removedAt = context.now
                            context.state.update { $0.driverRemoved(name, at: removedAt) }
                            removed.signal()
                        }
                    }
                    for driver in started {
                        let name = driver.plugin.name
                        let previous = drivers[name]
                        let before = previous?.ended ?? leaving.removeValue(forKey: name)
                        previous?.end.signal()
                        drivers[name] = driver
                        group.addTask { [context] in
                            await before?.wait()
                            context.state.update { $0.driverRegistered(name) }
                            await self.run(driver)
                        }
                    }
                    let monitors = drivers.values.map(\.monitor)
                    running.withLock { $0 = monitors }
                }
            }
        }
    }

    /// nil where the socket's address is invalid.
    private func start(_ plugin: RegisteredPlugin) -> Running? {
        do throws(GRPCError) {
            let monitor = try monitor(at: plugin.endpoint, registeredName: plugin.name)
            return Running(plugin: plugin, monitor: monitor)
        } catch {
            context.logger.error(
                "Failed to use the socket of a driver",
                metadata: ["driver": "\(plugin.name)", "endpoint": "\(plugin.endpoint)", "err": "\(error)"]
            )
            return nil
        }
    }

    /// Monitors one driver until it is ended.
    private func run(_ driver: Running) async {
        await withTaskGroup { group in
            // A registered driver ends only when it is cancelled.
            group.addTask { try? await driver.monitor.run() }
            group.addTask { await driver.end.wait() }
            await group.next()
            group.cancelAll()
        }
        driver.ended.signal()
    }

    private func monitor(at address: String, registeredName: String?) throws(GRPCError) -> DriverMonitor {
        try DriverMonitor(
            context,
            address: address,
            registeredName: registeredName,
            connected: connected,
            calls: calls
        )
    }
}
