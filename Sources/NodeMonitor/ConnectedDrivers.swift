// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthRuntime
import NodeCore
import Synchronization

/// The drivers that are connected now, by name, for calls that are scheduled for all drivers together.
final class ConnectedDrivers: Sendable {
    private let monitors = Mutex<[String: DriverMonitor]>([:])

    func add(_ monitor: DriverMonitor, _ name: String) { monitors.withLock { $0[name] = monitor } }

    func remove(_ name: String) { monitors.withLock { $0[name] = nil } }

    /// Probes the storage of all drivers until cancelled. There is at most one call for each driver.
    ///
    /// - Throws: only `CancellationError`.
    func probeStorage(_ context: NodeContext) async throws {
        let state = context.state
        let unlimited: @Sendable () -> Int = { .max }
        try await dispatch(atMost: unlimited, wakeUp: state.storageProbes, time: context.time) {
            switch state.withLock({ $0.nextStorageProbe(at: context.now) }) {
            case .probe(let probe): DispatchStep.run(probe)
            case .wait(let due): .wait(until: due)
            }
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
