// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthRuntime
import KubeletPlugins
import NodeCore
import Synchronization

/// The drivers that are connected now, by name, for calls that are scheduled for all drivers together.
final class ConnectedDrivers: Sendable {
    private let monitors = Mutex<[String: DriverMonitor]>([:])
    /// Of the last connection to each driver, also of one that is gone.
    private let sockets = Mutex<[String: SocketIdentity]>([:])

    func add(_ monitor: DriverMonitor, _ name: String) { monitors.withLock { $0[name] = monitor } }

    func remove(_ name: String) { monitors.withLock { $0[name] = nil } }

    /// Whether the socket of a driver is that of its last connection: the driver has not restarted in between, because
    /// each process creates its own.
    ///
    /// - Parameter socket: of the present connection; nil: not known, so that the next one is to another socket too.
    func isUnchanged(_ socket: SocketIdentity?, of name: String) -> Bool {
        sockets.withLock { sockets in
            defer { sockets[name] = socket }
            return socket != nil && sockets[name] == socket
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
            if let monitor = self.monitors.withLock({ $0[probe.driver] }) {
                await monitor.probeStorage(probe)
            } else {
                let now = context.now
                _ = state.update { $0.complete(storageProbe: probe, .failed(.unavailable), at: now) }
            }
            try Task.checkCancellation()
        }
    }
}
