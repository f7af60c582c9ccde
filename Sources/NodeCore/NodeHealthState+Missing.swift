// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthCore

/// Volumes that their driver does not find (rule 5).
extension NodeHealthState {
    /// After how long a driver that finds none of its volumes is believed: the time for which the controller holds back
    /// many missing volumes by default (`--missing-volumes-hold`), longer than a driver takes to restart.
    static let absenceHold = Duration.seconds(600)

    /// The driver does not find the volume. Reported if that is confirmed, the path is not at fault, and the whole
    /// driver cannot be either, or that lasts.
    mutating func reviewMissing(_ key: NodeVolumeKey, at now: Duration) {
        guard configuration.reportsMissingVolumes, let record = volumes[key], let missing = record.missing,
            missing.count >= 2, record.lastFound != nil
        else { return }
        let age = now - missing.since
        guard record.connection == missing.connection || age >= configuration.interval,
            age >= Self.absenceHold || isDriverCredible(without: record, since: missing.since)
        else { return }
        setHealth(record.missingState, of: key, at: now)
    }

    /// Whether the driver has found another volume since this moment, or has no other that shows whether it is at
    /// fault: one that was found before, and whose last call had a response.
    private func isDriverCredible(without record: VolumeRecord, since: Duration) -> Bool {
        var hasOthers = false
        for other in volumes.values
        where other.volume.driver == record.volume.driver && other.volume.volumeHandle != record.volume.volumeHandle {
            guard let found = other.lastFound else { continue }
            if found >= since { return true }
            if other.failure != .deadlineExceeded { hasOthers = true }
        }
        return !hasOthers
    }

    /// Whether nothing else is known against the volume than that the driver did not find it, to this process or to an
    /// earlier one: that ends when the driver finds it, even if it reports no health.
    func isOnlyMissing(_ key: NodeVolumeKey) -> Bool {
        guard let record = volumes[key] else { return false }
        if let health = record.health { return health == record.missingState }
        guard record.readback == .done, countsAsUnhealthy(key) else { return false }
        let missing = VolumeHealthCondition.notFound(volumeHandle: record.volume.volumeHandle)
        if let reported = events.fingerprint(key), reported != VolumeState([missing]).fingerprint { return false }
        if let shown = shownFailure(of: key), shown.reason != missing.reason { return false }
        return true
    }
}

extension VolumeRecord {
    /// The state of a volume that the driver does not find.
    fileprivate var missingState: VolumeState { VolumeState([.notFound(volumeHandle: volume.volumeHandle)]) }

    /// A call failed.
    mutating func recordMissing(_ failure: NodeProbeFailure, connection: Int, at now: Duration) {
        guard failure == .notFound else {
            missing = nil
            return
        }
        if missing?.connection != connection { missing = Missing(connection: connection, since: now, count: 0) }
        missing?.count += 1
    }
}
