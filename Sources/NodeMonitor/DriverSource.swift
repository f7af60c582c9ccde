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
    private enum Origin: Sendable {
        case socket(address: String)
        case registrations(PluginDiscovery, only: Set<String>, except: Set<String>)
    }

    /// A registered driver that is monitored.
    private struct RegisteredDriver: Sendable {
        var plugin: RegisteredPlugin
        let monitor: DriverMonitor
        /// Signalled to end it.
        let end = WakeUp()
        /// Signalled when it has ended.
        let ended = WakeUp()
    }

    /// The registered drivers, by name.
    private struct RegisteredDrivers {
        var monitored: [String: RegisteredDriver] = [:]
        /// Drivers that are no longer registered, each with the signal that the state has forgotten it.
        var leaving: [String: WakeUp] = [:]
    }

    private let context: NodeContext
    private let observeCall: @Sendable (CSIClient.CallObservation) -> Void
    private let connected = ConnectedDrivers()
    private let origin: Origin
    private let currentMonitors = Mutex<[DriverMonitor]>([])

    init(_ context: NodeContext, observeCall: @escaping @Sendable (CSIClient.CallObservation) -> Void) {
        self.context = context
        self.observeCall = observeCall
        origin =
            switch context.configuration.drivers {
            case .socket(let address):
                .socket(address: address)
            case .registered(let only, let except):
                .registrations(
                    PluginDiscovery(
                        configuration: .init(kubeletRoot: context.configuration.kubeletRootPath),
                        logger: context.logger
                    ),
                    only: only,
                    except: except
                )
            }
    }

    /// The monitored drivers, in no order.
    var monitors: [DriverMonitor] { currentMonitors.withLock { $0 } }

    /// Why registered drivers may not be found; nil when they can be.
    var problem: String? {
        switch origin {
        case .socket: nil
        case .registrations(let discovery, _, _): discovery.problem
        }
    }

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
        switch origin {
        case .socket(let address):
            let monitor = try monitor(at: address, registeredName: nil)
            currentMonitors.withLock { $0 = [monitor] }
            try await monitor.run()
        case .registrations(let discovery, let only, let except):
            try await withThrowingDiscardingTaskGroup { group in
                var drivers = RegisteredDrivers()
                try await discovery.run(clock: context.time.clock) { plugins in
                    let selected = plugins.filter {
                        (only.isEmpty || only.contains($0.name)) && !except.contains($0.name)
                    }
                    change(&drivers, to: selected, in: &group)
                }
            }
        }
    }

    /// Ends drivers that are no longer registered, and starts those that are new or have another endpoint.
    private func change(
        _ drivers: inout RegisteredDrivers,
        to plugins: [RegisteredPlugin],
        in group: inout ThrowingDiscardingTaskGroup<any Error>
    ) {
        let changed = plugins.filter { drivers.monitored[$0.name]?.plugin.endpoint != $0.endpoint }
        let started = changed.compactMap(start)
        // A driver whose new endpoint is invalid is not monitored at the earlier one either.
        let names = Set(plugins.map(\.name)).subtracting(changed.map(\.name)).union(started.map(\.plugin.name))
        for (name, driver) in drivers.monitored where !names.contains(name) {
            let removed = WakeUp()
            driver.end.signal()
            drivers.monitored[name] = nil
            drivers.leaving[name] = removed
            group.addTask { [context] in
                await driver.ended.wait()
                let removedAt = context.now
                context.state.update { $0.driverRemoved(name, at: removedAt) }
                removed.signal()
            }
        }
        for driver in started {
            let name = driver.plugin.name
            let previous = drivers.monitored[name]
            let before = previous?.ended ?? drivers.leaving.removeValue(forKey: name)
            previous?.end.signal()
            drivers.monitored[name] = driver
            group.addTask { [context] in
                await before?.wait()
                context.state.update { $0.driverRegistered(name) }
                await self.run(driver)
            }
        }
        let monitors = drivers.monitored.values.map(\.monitor)
        currentMonitors.withLock { $0 = monitors }
    }

    /// nil where the endpoint is invalid.
    private func start(_ plugin: RegisteredPlugin) -> RegisteredDriver? {
        do throws(GRPCError) {
            let monitor = try monitor(at: plugin.endpoint, registeredName: plugin.name)
            return RegisteredDriver(plugin: plugin, monitor: monitor)
        } catch {
            context.logger.error(
                "Failed to monitor driver, its endpoint is invalid: correct its registrar's --kubelet-registration-path",
                metadata: ["driver": "\(plugin.name)", "endpoint": "\(plugin.endpoint)", "err": "\(error)"]
            )
            return nil
        }
    }

    /// Monitors one driver until it is ended.
    private func run(_ driver: RegisteredDriver) async {
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
            calls: observeCall
        )
    }
}
