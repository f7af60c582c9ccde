// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

package import HealthCore

/// The health of the drivers' storage, probed once per interval.
extension NodeHealthState {
    /// The next call of NodeGetStorageHealth, to any driver: one at a time to each, and none to one that hangs. Make it,
    /// then call ``complete(storageProbe:_:at:)`` in any case.
    package mutating func nextStorageProbe(at now: Duration) -> NextStep<StorageProbe> {
        var first: (name: String, due: Duration)?
        for (name, driver) in drivers where driver.reportsStorageHealth && !driver.storage.isUnderWay {
            guard let due = driver.storage.due else { continue }
            if let other = first, (other.due, other.name) < (due, name) { continue }
            first = (name, due)
        }
        guard let first, let driver = drivers[first.name] else { return .wait(until: nil) }
        guard first.due <= now else { return .wait(until: first.due) }
        drivers[first.name]?.storage.begin()
        return .run(StorageProbe(driver: first.name, connection: driver.connection))
    }

    /// A call of ``nextStorageProbe(at:)`` ended. A failure changes nothing (rule 1). UNIMPLEMENTED suspends the
    /// storage probes of the driver; its volumes are probed as before.
    ///
    /// - Returns: what is worth a log line.
    package mutating func complete(
        storageProbe probe: StorageProbe,
        _ outcome: StorageProbeOutcome,
        at now: Duration
    ) -> [NodeDriverChange] {
        guard var driver = drivers[probe.driver] else { return [] }
        defer {
            drivers[probe.driver] = driver
            dropIfUnused(driver: probe.driver)
        }
        let interval = configuration.interval
        guard driver.isConnected, driver.connection == probe.connection else {
            driver.storage.failed(.other, interval: interval, at: now)
            return []
        }
        switch outcome {
        case .health(let health):
            let counts = driver.storage.reported(health, connection: probe.connection, interval: interval, at: now)
            if counts, configuration.recordsStorageEvents { storageEvents.set(health, for: probe.driver, at: now) }
        case .failed(let failure):
            driver.storage.failed(failure, interval: interval, at: now)
            if driver.storage.isSuspended {
                driver.storage.forgetHealth()
                storageEvents.forgetState(of: probe.driver, at: now)
            }
            guard failure.isResponse else { return [] }
        }
        guard driver.respondedWithoutVolume() else { return [] }
        probePlans += 1
        return [.stoppedHanging]
    }

    /// The next event on the Node about a driver's storage. Record it, then call ``complete(storageEvent:_:at:)`` in any
    /// case.
    package mutating func nextStorageEvent(
        at now: Duration
    ) -> NextStep<PendingReport<String, StorageHealth, NodeTarget>> {
        storageEvents.next(at: now) { NodeTarget(driver: $0) }
    }

    /// Completes a report of ``nextStorageEvent(at:)``; returns as ``complete(event:_:at:)``.
    @discardableResult
    package mutating func complete(
        storageEvent event: PendingReport<String, StorageHealth, NodeTarget>,
        _ outcome: ReportOutcome,
        at now: Duration
    ) -> Bool {
        storageEvents.complete(event, outcome, at: now)
    }
}

extension DriverProbes {
    fileprivate var reportsStorageHealth: Bool {
        isConnected && !isHanging && !needsCapabilities && !storage.isSuspended
            && capabilities?.reportsStorageHealth == true
    }
}
