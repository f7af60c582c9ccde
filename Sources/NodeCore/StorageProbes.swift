// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthCore

/// When the storage of a driver is probed, and what it reported last.
struct StorageProbes: Sendable {
    private(set) var due: Duration?
    private(set) var isUnderWay = false
    private var failures = 0
    /// nil: not reported to this process yet.
    private(set) var health: StorageHealth?
    /// Whether the last report was unhealthy, whatever is known since.
    private(set) var wasUnhealthy = false
    /// The connection of the last response.
    private var connection = 0
    /// The driver does not implement the RPC: no call before it connects again or its capabilities change.
    var isSuspended = false

    /// The driver is connected; the first probe is due at this moment.
    mutating func connected(at due: Duration) {
        self.due = due
        failures = 0
        isSuspended = false
    }

    mutating func begin() {
        due = nil
        isUnderWay = true
    }

    /// A probe ended without a report.
    mutating func failed(_ failure: NodeProbeFailure, interval: Duration, at now: Duration) {
        isUnderWay = false
        failures += 1
        isSuspended = failure == .unimplemented
        let backoff = Backoff(initial: interval, maximum: max(interval, DriverProbes.maximumBackoff))
        due = now + (failure.isResponse ? interval : backoff.delay(afterFailures: failures))
    }

    /// The driver cannot report its storage's health any more.
    mutating func forgetHealth() { health = nil }

    /// The driver reported its storage's health.
    ///
    /// - Returns: whether it counts: a first response on a connection is no recovery.
    mutating func reported(_ health: StorageHealth, connection: Int, interval: Duration, at now: Duration) -> Bool {
        isUnderWay = false
        failures = 0
        due = now + interval
        defer { self.connection = connection }
        if health.isClear, wasUnhealthy, connection != self.connection { return false }
        wasUnhealthy = !health.isClear
        self.health = health
        return true
    }
}
