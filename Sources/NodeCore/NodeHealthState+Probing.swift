// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

package import HealthCore

/// The drivers' connections, and the probes of volumes.
///
/// A volume is probed while its pod runs: not before the pod has started, because nothing is mounted before, and not
/// after it has ended. What a response means:
///
/// | Response | The volume's health |
/// |---|---|
/// | healthy | healthy (rule 3) |
/// | healthy, the first on a connection, of a volume that counts as unhealthy | stays: the next response counts (1) |
/// | conditions | these conditions, at once |
/// | conditions of unknown types only | stays (rule 6) |
/// | no volume condition | stays |
/// | NOT_FOUND, not twice in a row | stays |
/// | NOT_FOUND twice in a row, of a volume that was found before | Inaccessible / VolumeNotFound (2, 3) |
/// | any other error, no response | stays (rule 1) |
///
/// 1. Drivers that record health in the background begin with healthy after a restart.
/// 2. If the driver has found another volume meanwhile, or no other was found before and had a response to its last
///    call: otherwise the driver may be at fault (rule 5).
/// 3. Both on the present connection, and an interval apart if the volume was not found on it: a driver that has
///    restarted may not know its volumes yet.
extension NodeHealthState {
    /// The longest time between two calls for a volume whose calls fail, if the interval is not longer.
    package static var maximumBackoff: Duration { DriverProbes.maximumBackoff }

    // MARK: Connections

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
        probePlans += 1
        for uid in Array(pods.keys) { reviewReadiness(ofPod: uid, at: now) }
    }

    /// The capabilities of a connected driver were read again.
    package mutating func capabilitiesRead(_ name: String, _ capabilities: NodeCapabilities, at now: Duration) {
        guard drivers[name]?.isConnected == true else { return }
        drivers[name]?.read(capabilities)
        probePlans += 1
    }

    /// The connection is closed. Responses to its calls do not count any more.
    package mutating func driverDisconnected(_ name: String) {
        drivers[name]?.disconnect()
        dropIfUnused(driver: name)
    }

    /// A driver is no longer registered on the node. It may return, as when its pod is replaced: what was reported on
    /// its storage is kept, and not refreshed before.
    package mutating func driverRemoved(_ name: String, at now: Duration) {
        drivers[name]?.disconnect()
        drivers[name]?.isRegistered = false
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

    // MARK: Probes

    /// The next call to a driver for a volume. Make it, then call ``complete(probe:_:at:)`` in any case.
    ///
    /// At most one call per volume id is under way, and ``Configuration-swift.struct/workerThreads`` in all;
    /// ``DriverProbes`` has the other limits.
    package mutating func nextProbe(of name: String, at now: Duration) -> NextStep<NodeProbe> {
        // Moved out, because the closure reads `self` while the driver changes.
        guard var driver = drivers.removeValue(forKey: name) else { return .wait(until: nil) }
        defer { drivers[name] = driver }
        switch driver.next(at: now, handle: { volumes[$0]?.volume.volumeHandle }) {
        case .wait(let due): return .wait(until: due)
        case .run(let key):
            guard let record = volumes[key], let capabilities = driver.capabilities else { return .wait(until: now) }
            let sendsStaging = capabilities.strategy == .health && capabilities.needsStagingPath
            return .run(
                NodeProbe(
                    key: key,
                    driver: name,
                    volumeHandle: record.volume.volumeHandle,
                    strategy: capabilities.strategy,
                    publishPath: record.paths.publish,
                    stagingPath: sendsStaging ? record.paths.staging ?? "" : "",
                    connection: driver.connection
                )
            )
        }
    }

    /// A call of ``nextProbe(of:at:)`` ended. A response for a pod that has ended, was deleted or replaced is dropped,
    /// and so is one from an earlier connection.
    ///
    /// - Returns: what is worth a log line.
    package mutating func complete(
        probe: NodeProbe,
        _ outcome: NodeProbeOutcome,
        at now: Duration
    ) -> [NodeDriverChange] {
        // The value is not kept: a second reference to the driver's tables would have them copied when they change.
        guard let isCurrent = drivers[probe.driver].map({ $0.isConnected && $0.connection == probe.connection }) else {
            return []
        }
        var changes: [NodeDriverChange] = []
        var end = DriverProbes.End.unavailable
        if isCurrent {
            end = self.end(of: probe, outcome, at: now)
            changes += reviewDriver(after: outcome, of: probe)
            if volumes[probe.key] != nil { apply(outcome, of: probe, at: now) }
        }
        let isUnhealthy = volumes[probe.key]?.health?.isClear == false
        let change = drivers[probe.driver]?.finish(probe.key, end, isUnhealthy: isUnhealthy, at: now)
        // The storage probes of the driver resume.
        if change == .stoppedHanging { probePlans += 1 }
        dropIfUnused(driver: probe.driver)
        return changes + [change ?? nil].compactMap(\.self)
    }

    /// How the call counts for the schedule, before its outcome is applied.
    private mutating func end(of probe: NodeProbe, _ outcome: NodeProbeOutcome, at now: Duration) -> DriverProbes.End {
        guard let record = volumes[probe.key], case .failed(let failure) = outcome else {
            if case .failed(let failure) = outcome, !failure.isResponse {
                return failure == .unavailable ? .unavailable : .timedOut
            }
            return .responded
        }
        switch failure {
        case .deadlineExceeded: return .timedOut
        case .unavailable: return .unavailable
        case .notFound where record.connection == probe.connection && record.missing == nil: return .unconfirmed
        case .aborted where !record.wasAborted: return .again(at: now + delay(.seconds(1)..<(.seconds(3))))
        case .notFound, .aborted, .invalidArgument, .internal, .unimplemented, .other: return .responded
        }
    }

    /// What the outcome says about the driver, whichever volume it is.
    private mutating func reviewDriver(after outcome: NodeProbeOutcome, of probe: NodeProbe) -> [NodeDriverChange] {
        switch outcome {
        case .failed(.unimplemented):
            // Where other volumes have had a response, it is about this volume alone.
            guard let driver = drivers[probe.driver], !driver.needsCapabilities, !driver.hasResponded else { return [] }
            drivers[probe.driver]?.needsCapabilities = true
            return [.capabilitiesOutdated]
        case .failed(let failure) where !failure.isResponse: return []
        case .health, .noCondition, .failed: drivers[probe.driver]?.implementsProbes()
        }
        switch outcome {
        case .health, .noCondition: drivers[probe.driver]?.paths.found()
        // The volumes of a pod that has ended are not found because it has.
        case .failed(let failure) where failure.mayBePath && volumes[probe.key] != nil:
            if drivers[probe.driver]?.paths.didNotFind(probe.volumeHandle) == true {
                return [.problem(.pathsNotFound(kubeletRoot: configuration.kubeletRoot))]
            }
        case .failed: break
        }
        return []
    }

    /// What the outcome says about the volume.
    private mutating func apply(_ outcome: NodeProbeOutcome, of probe: NodeProbe, at now: Duration) {
        guard var record = volumes[probe.key] else { return }
        if record.connection != probe.connection { record.firstResponse = now }
        // A volume whose turn passed while the driver was away is probed at once, and again at its next turn: that may
        // be too soon for a driver that has just started.
        let isFirst =
            record.connection != probe.connection
            || record.firstResponse.map { now - $0 < configuration.interval / 2 } == true
        record.isUnresponsive = false
        record.lastResponse = now
        record.wasAborted = false
        switch outcome {
        case .health, .noCondition:
            record.connection = probe.connection
            record.missing = nil
            record.lastFound = now
        case .failed(.notFound):
            if record.missing?.connection != probe.connection {
                record.missing = VolumeRecord.Missing(connection: probe.connection, since: now, count: 0)
            }
            record.missing?.count += 1
        case .failed(let failure) where failure.isResponse:
            record.missing = nil
            // After a repeated call the volume has its next turn.
            record.wasAborted = failure == .aborted && volumes[probe.key]?.wasAborted == false
        case .failed:
            record.missing = nil
            record.isUnresponsive = true
            record.lastResponse = volumes[probe.key]?.lastResponse
        }
        volumes[probe.key] = record
        switch outcome {
        case .health(let report): apply(report, to: probe.key, isFirst: isFirst, at: now)
        case .noCondition: reviewReadinessWithoutHealth(of: probe.key, at: now)
        case .failed(.notFound): reviewMissing(probe.key, at: now)
        case .failed: break
        }
    }

    private mutating func apply(_ report: VolumeHealthReport, to key: NodeVolumeKey, isFirst: Bool, at now: Duration) {
        volumes[key]?.isUnknown = report.conditions.isEmpty && !report.isHealthy
        queue(unknown: report.unknownConditions, of: key, at: now)
        volumes[key]?.awaitsReadback = false
        if !report.conditions.isEmpty {
            // The driver has checked the volume since it started.
            volumes[key]?.firstResponse = nil
            setHealth(VolumeState(report.conditions), of: key, at: now)
        } else if report.isHealthy {
            let isReadBack = volumes[key]?.readback == .done
            if isFirst, !isReadBack, !countsAsUnhealthy(key) {
                volumes[key]?.awaitsReadback = true
                scheduleReadback(of: key, at: now)
            } else if !isFirst || !countsAsUnhealthy(key) {
                setHealth(.clear, of: key, at: now)
            }
        } else {
            reviewReadinessWithoutHealth(of: key, at: now)
        }
    }

    /// Whether a healthy response would be a recovery.
    func countsAsUnhealthy(_ key: NodeVolumeKey) -> Bool {
        guard let record = volumes[key], let pod = pods[key.podUID]?.pod else { return false }
        if record.health?.isClear == false || events.fingerprint(key) != nil { return true }
        let type = ReadinessCondition.type(driver: record.volume.driver)
        return configuration.writesReadiness && pod.conditions.contains { $0.type == type && $0.status == "False" }
    }

    /// Sets the health of a volume, and queues the reports on its pod.
    mutating func setHealth(_ state: VolumeState, of key: NodeVolumeKey, at now: Duration) {
        guard var record = volumes[key] else { return }
        if record.health?.fingerprint != state.fingerprint { record.healthSince = now }
        record.health = state
        record.awaitsReadback = false
        volumes[key] = record
        if record.readback == .done {
            report(state, on: key, at: now)
        } else {
            scheduleReadback(of: key, at: now)
        }
        reviewReadiness(ofPod: key.podUID, at: now)
    }

    /// Queues an event for each condition of an unknown type, once for each type and reason.
    private mutating func queue(unknown conditions: [UnknownCondition], of key: NodeVolumeKey, at now: Duration) {
        for condition in conditions {
            guard let known = volumes[key]?.unknownConditions, !known.contains(condition.fingerprint),
                // In case a driver never reports the same condition twice.
                known.count < VolumeHealthReport.maximumConditions
            else { continue }
            volumes[key]?.unknownConditions.append(condition.fingerprint)
            let unknown = UnknownNodeConditionKey(volume: key, fingerprint: condition.fingerprint)
            unknowns.set(condition, for: unknown, at: now)
        }
    }

    /// The driver does not find the volume. Reported if that is confirmed and neither the path nor the whole driver can
    /// be at fault (rule 5).
    private mutating func reviewMissing(_ key: NodeVolumeKey, at now: Duration) {
        guard configuration.reportsMissingVolumes, let record = volumes[key], let missing = record.missing,
            missing.count >= 2, record.lastFound != nil,
            record.connection == missing.connection || now - missing.since >= configuration.interval,
            isDriverCredible(without: record, since: missing.since)
        else { return }
        let condition = VolumeHealthCondition.notFound(volumeHandle: record.volume.volumeHandle)
        setHealth(VolumeState([condition]), of: key, at: now)
    }

    /// Whether the driver has found another volume since this moment, or has no other that shows whether it is at
    /// fault: one that was found before, and whose last call had a response.
    private func isDriverCredible(without record: VolumeRecord, since: Duration) -> Bool {
        var hasOthers = false
        for other in volumes.values
        where other.volume.driver == record.volume.driver && other.volume.volumeHandle != record.volume.volumeHandle {
            guard let found = other.lastFound else { continue }
            if found >= since { return true }
            if !other.isUnresponsive { hasOthers = true }
        }
        return !hasOthers
    }

    /// The interval that has just ended, if every volume of the driver was probed in it; returned once.
    package mutating func completedRound(of name: String, at now: Duration) -> ProbeRound? {
        drivers[name]?.completedRound(at: now)
    }
}
