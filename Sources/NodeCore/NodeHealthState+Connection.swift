// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthCore

/// The drivers' connections.
extension NodeHealthState {
    /// A driver of the node is known, connected or not. Only these are in snapshots; a driver that connects is one of
    /// them.
    package mutating func driverRegistered(_ name: String) {
        var driver = driver(name)
        driver.isRegistered = true
        drivers[name] = driver
    }

    /// A connection to the driver is open, and its capabilities were read.
    ///
    /// - Parameter isSameProcess: the driver has not restarted since its last connection: its calls that hang still do.
    package mutating func driverConnected(
        _ name: String,
        _ capabilities: NodeCapabilities,
        isSameProcess: Bool = false,
        at now: Duration
    ) {
        var driver = driver(name)
        connections += 1
        driver.connect(capabilities, number: connections, isSameProcess: isSameProcess, at: now, using: &random)
        driver.storage.connected(at: now + delay(.zero..<min(.seconds(10), configuration.interval)))
        drivers[name] = driver
        forgetUnsupported(name, at: now)
        probePlans += 1
        for uid in Array(pods.keys) { reviewReadiness(ofPod: uid, at: now) }
    }

    /// The capabilities of a connected driver were read again.
    package mutating func capabilitiesRead(_ name: String, _ capabilities: NodeCapabilities, at now: Duration) {
        guard drivers[name]?.isConnected == true else { return }
        drivers[name]?.read(capabilities)
        forgetUnsupported(name, at: now)
        probePlans += 1
    }

    /// Forgets what the driver reported and cannot report any more.
    private mutating func forgetUnsupported(_ name: String, at now: Duration) {
        if drivers[name]?.isSupported == false { forgetHealth(ofVolumesOf: name, at: now) }
        if drivers[name]?.capabilities?.reportsStorageHealth == false { forgetStorageHealth(of: name, at: now) }
    }

    /// No probe follows: what was reported on the volumes of this driver is kept for when it is known again whether they
    /// are healthy, but not refreshed before, and their health is unknown.
    private mutating func forgetHealth(ofVolumesOf name: String, at now: Duration) {
        for (key, record) in Array(volumes) where record.volume.driver == name && record.health != nil {
            volumes[key]?.health = nil
            events.forgetState(of: key, at: now)
            newConditions.remove(key)
            flaps.remove(key)
            flapEvents.remove(key)
        }
    }

    /// The same for the driver's storage.
    private mutating func forgetStorageHealth(of name: String, at now: Duration) {
        drivers[name]?.storage.forgetHealth()
        storageEvents.forgetState(of: name, at: now)
    }

    /// The connection is closed. Responses to its calls do not count any more.
    package mutating func driverDisconnected(_ name: String) {
        drivers[name]?.disconnect()
        dropIfUnused(driver: name)
    }

    /// A driver is no longer registered on the node. It may return, as when its pod is replaced: what was reported on
    /// its volumes and its storage is kept, and not refreshed before.
    package mutating func driverRemoved(_ name: String, at now: Duration) {
        drivers[name]?.disconnect()
        drivers[name]?.isRegistered = false
        forgetHealth(ofVolumesOf: name, at: now)
        storageEvents.forgetState(of: name, at: now)
        dropIfUnused(driver: name)
    }

    /// Frees what belongs to a driver that is neither registered nor connected and has no volumes.
    mutating func dropIfUnused(driver name: String) {
        if drivers[name]?.isUnused == true { drivers[name] = nil }
    }

    /// The driver did not respond to Probe within the timeout.
    package mutating func driverUnresponsive(_ name: String, at now: Duration) -> [NodeDriverChange] {
        drivers[name]?.hang(at: now) == true ? [.startedHanging] : []
    }

    /// The driver responds to Probe again, after ``driverUnresponsive(_:at:)``, on the same connection.
    package mutating func driverResponded(_ name: String) -> [NodeDriverChange] {
        guard drivers[name]?.respondedWithoutVolume() == true else { return [] }
        probePlans += 1
        return [.stoppedHanging]
    }
}
