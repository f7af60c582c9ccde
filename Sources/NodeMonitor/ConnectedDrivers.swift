// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthRuntime
import KubeletPlugins
import NodeCore
import Synchronization

/// The drivers that are connected now, by name, for calls that are scheduled for all drivers together.
final class ConnectedDrivers: Sendable {
    private struct Drivers: Sendable {
        var monitors: [String: DriverMonitor] = [:]
        /// The socket of the last connection to each driver, whether it is connected now or not.
        var sockets: [String: SocketIdentity] = [:]
    }

    private let drivers = Mutex(Drivers())

    func add(_ monitor: DriverMonitor, _ name: String) { drivers.withLock { $0.monitors[name] = monitor } }

    func remove(_ name: String) { drivers.withLock { $0.monitors[name] = nil } }

    /// Records the socket of a new connection to a driver.
    ///
    /// - Parameter socket: nil: it is not known.
    /// - Returns: whether it is the socket of the last connection, and both are known: the driver has not restarted in
    ///   between, because each process creates its own.
    func record(socket: SocketIdentity?, of name: String) -> Bool {
        drivers.withLock { drivers in
            defer { drivers.sockets[name] = socket }
            return socket != nil && drivers.sockets[name] == socket
        }
    }

    /// Probes the storage of all drivers until cancelled. There is at most one call for each driver.
    ///
    /// - Throws: only `CancellationError`.
    func probeStorage(_ context: NodeContext) async throws {
        let state = context.state
        let unlimited: @Sendable () -> Int = { .max }
        try await dispatch(atMost: unlimited, wakeUp: state.storageProbes, time: context.time) {
            state.withLock { $0.nextStorageProbe(at: context.now) }
        } run: { probe in
            if let monitor = self.drivers.withLock({ $0.monitors[probe.driver] }) {
                await monitor.probeStorage(probe)
            } else {
                let now = context.now
                _ = state.update { $0.complete(storageProbe: probe, .failed(.unavailable), at: now) }
            }
            try Task.checkCancellation()
        }
    }
}
