// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

package import HealthCore

/// The probes of volumes.
///
/// A volume is probed while its pod runs: not before the pod has started, because nothing is mounted before, and not
/// after it has ended. What a response means:
///
/// | Response | The volume's health |
/// |---|---|
/// | healthy | healthy (rule 3) |
/// | healthy, the first on a connection, of a volume that counts as unhealthy | stays: the next response counts (1) |
/// | conditions | these conditions, at once |
/// | conditions of unknown types only | stays (rule 6); VolumeNotFound ends, as by healthy (1) |
/// | no volume condition | stays; VolumeNotFound ends, as by healthy (1) |
/// | NOT_FOUND, not twice in a row | stays |
/// | NOT_FOUND twice in a row, of a volume that was found before | Inaccessible / VolumeNotFound (2, 3) |
/// | any other error, no response | stays (rule 1) |
///
/// 1. Drivers that record health in the background begin with healthy after a restart.
/// 2. If the driver has found another volume meanwhile, or no other was found before and had a response to its last
///    call. Otherwise the driver may be at fault (rule 5): after ``absenceHold``.
/// 3. Both on the present connection, and an interval apart if the volume was not found on it: a driver that has
///    restarted may not know its volumes yet.
extension NodeHealthState {
    /// The longest time between two calls for a volume whose calls fail, if the interval is not longer.
    package static var maximumBackoff: Duration { DriverProbes.maximumBackoff }

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
        var end = DriverProbes.End.interrupted
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
                return failure == .unavailable ? .interrupted : .timedOut
            }
            return .responded
        }
        switch failure {
        case .deadlineExceeded: return .timedOut
        case .unavailable: return record.unavailableOn == probe.connection ? .responded : .interrupted
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
        if outcome == .failed(.unavailable), record.unavailableOn != probe.connection {
            // Perhaps the connection has broken during the call. If it has not, the next call shows it.
            volumes[probe.key]?.unavailableOn = probe.connection
            return
        }
        if record.connection != probe.connection { record.firstResponse = now }
        // A volume whose turn passed while the driver was away is probed at once, and again at its next turn: that may
        // be too soon for a driver that has just started.
        let isFirst =
            record.connection != probe.connection
            || record.firstResponse.map { now - $0 < configuration.interval / 2 } == true
        let wasAborted = record.wasAborted
        (record.failure, record.wasAborted, record.unavailableOn) = (nil, false, nil)
        switch outcome {
        case .health, .noCondition:
            record.connection = probe.connection
            record.missing = nil
            record.lastFound = now
            record.lastResponse = now
        case .failed(let failure):
            record.failure = failure
            record.recordMissing(failure, connection: probe.connection, at: now)
            if failure != .deadlineExceeded { record.lastResponse = now }
            // After a repeated call the volume has its next turn.
            record.wasAborted = failure == .aborted && !wasAborted
            if failure == .unavailable { record.unavailableOn = probe.connection }
        }
        volumes[probe.key] = record
        switch outcome {
        case .health(let report): apply(report, to: probe.key, isFirst: isFirst, at: now)
        case .noCondition: foundWithoutHealth(probe.key, isFirst: isFirst, at: now)
        case .failed(let failure):
            if failure == .notFound { reviewMissing(probe.key, at: now) }
            if failure.mayBePath { doubtResolution(of: probe.key, at: now) }
        }
    }

    private mutating func apply(_ report: VolumeHealthReport, to key: NodeVolumeKey, isFirst: Bool, at now: Duration) {
        volumes[key]?.isUnknown = false
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
            foundWithoutHealth(key, isFirst: isFirst, at: now)
        }
    }

    /// The driver has found the volume, and reported no health that this version knows.
    private mutating func foundWithoutHealth(_ key: NodeVolumeKey, isFirst: Bool, at now: Duration) {
        volumes[key]?.isUnknown = true
        if !isFirst, isOnlyMissing(key) {
            setHealth(.clear, of: key, at: now)
        } else {
            reviewReadinessWithoutHealth(of: key, at: now)
        }
    }

    /// Whether a healthy response would be a recovery.
    func countsAsUnhealthy(_ key: NodeVolumeKey) -> Bool {
        guard let record = volumes[key] else { return false }
        return record.health?.isClear == false || events.fingerprint(key) != nil || shownFailure(of: key) != nil
    }

    /// The readiness condition that is False on the volume's pod, unless its message is about another volume of the pod;
    /// nil where none is written.
    func shownFailure(of key: NodeVolumeKey) -> PodCondition? {
        guard configuration.writesReadiness, let driver = volumes[key]?.volume.driver, let pod = pods[key.podUID] else {
            return nil
        }
        let type = ReadinessCondition.type(driver: driver)
        guard let condition = pod.pod.conditions.first(where: { $0.type == type && $0.status == "False" }) else {
            return nil
        }
        let isAboutAnother = pod.volumes.contains { other in
            other != key && volumes[other].map { condition.message.hasPrefix($0.target.messagePrefix) } == true
        }
        return isAboutAnother ? nil : condition
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

    /// The interval that has just ended, if every volume of the driver was probed in it; returned once.
    package mutating func completedRound(of name: String, at now: Duration) -> ProbeRound? {
        drivers[name]?.completedRound(at: now)
    }
}
