// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import CSIClient
import KubernetesClient
import Logging
import VolumeHealth

extension HealthMonitor {
    /// Lists all volumes. Those whose absence a call is to confirm are probed by ``probeVolumes(into:)``, so that a driver
    /// that does not answer such calls holds up no list.
    ///
    /// - Returns: whether the list was complete.
    func sweep(
        _ generation: ProbeStrategy.Generation,
        canConfirm: Bool,
        into state: MonitorState
    ) async throws -> Bool {
        var summary = SweepSummary()
        let began = now
        state.withHealthState { $0.beginSweep(at: began) }
        var failure: (any Error)?
        try await haltUnlessLeading()
        do {
            switch generation {
            case .legacy:
                for try await page in driver.listVolumes() {
                    receive(page, into: state, &summary)
                    try await haltUnlessLeading()
                }
            case .health:
                let secrets = try await listSecrets(state)
                for try await page in driver.listVolumeHealth(secrets: secrets) {
                    receive(page, into: state, &summary)
                    try await haltUnlessLeading()
                }
            }
        } catch {
            failure = error
        }
        try Task.checkCancellation()
        if let failure = failure as? CSIError {
            state.failed(.calls, reason: "\(failure)", since: began)
        } else if failure == nil {
            state.succeeded(.calls)
        }
        let ended = now
        let end: HealthState.SweepEnd =
            if failure != nil {
                .incomplete
            } else {
                .complete(generation == .legacy ? .everyVolume : .unhealthyVolumes, canConfirm: canConfirm)
            }
        let (absent, problem) = state.update { healthState in
            let absent = healthState.endSweep(end, at: ended)
            return (absent, healthState.listProblem)
        }
        log(summary, absent: absent.count, failure: failure, duration: ended - began, state)
        if failure == nil {
            if state.adopt(problem) { log(problem, canConfirm: canConfirm) }
            if problem == nil {
                state.sweepEnded(at: ended)
                logChanges(state)
                observer(.sweepCompleted(duration: ended - began))
            }
        }
        return failure == nil
    }

    private func receive(_ page: [DriverVolume], into state: MonitorState, _ summary: inout SweepSummary) {
        let received = now
        state.succeeded(.driver)
        summary.volumes += page.count
        let (abnormal, withoutHealth) = state.update { healthState in
            var abnormal = 0
            var withoutHealth = 0
            for volume in page {
                if let report = VolumeHealthReport(volume) {
                    if !report.isHealthy { abnormal += 1 }
                    healthState.receive(report, at: received)
                } else {
                    withoutHealth += 1
                    healthState.receive(listedWithoutHealth: volume.id, at: received)
                }
            }
            return (abnormal, withoutHealth)
        }
        summary.abnormal += abnormal
        summary.withoutHealth += withoutHealth
    }

    private func receive(_ page: [DriverVolumeHealth], into state: MonitorState, _ summary: inout SweepSummary) {
        let received = now
        state.succeeded(.driver)
        let reports = page.map { VolumeHealthReport($0, observer: observer) }
        summary.volumes += page.count
        summary.abnormal += reports.count { !$0.isHealthy }
        state.update { healthState in
            for report in reports { healthState.receive(report, at: received) }
        }
    }

    private func log(_ problem: ListProblem?, canConfirm: Bool) {
        var metadata: Logger.Metadata = ["method": "ListVolumes"]
        if canConfirm { metadata["fallback"] = "ControllerGetVolume" }
        switch problem {
        case nil:
            logger.notice("The driver's list of volumes is usable again", metadata: metadata)
        case .noConditions:
            logger.warning("The driver's list of volumes has no volume conditions", metadata: metadata)
        case .foreignIDs(let volumeID, let volumeHandle):
            metadata["volumeID"] = "\(volumeID)"
            metadata["volumeHandle"] = "\(volumeHandle)"
            logger.warning("The driver's list has no volume of any of its PersistentVolumes", metadata: metadata)
        }
    }

    private func log(
        _ summary: SweepSummary,
        absent: Int,
        failure: (any Error)?,
        duration: Duration,
        _ state: MonitorState
    ) {
        var metadata: Logger.Metadata = [
            "volumes": .stringConvertible(summary.volumes),
            "abnormal": .stringConvertible(summary.abnormal),
            "duration": .stringConvertible(duration),
        ]
        if let failure {
            metadata["err"] = "\(failure)"
            logger.error(
                failure is KubernetesError
                    ? "Failed to get the Secret for the list of volumes, retrying"
                    : "Failed to list volumes, retrying",
                metadata: metadata
            )
        } else {
            if absent > 0 { metadata["absent"] = .stringConvertible(absent) }
            logger.debug("Listed all volumes", metadata: metadata)
        }
        let isPartial = summary.withoutHealth > 0 && summary.withoutHealth < summary.volumes
        if failure == nil, state.adopt(listsSomeWithoutCondition: isPartial), isPartial {
            logger.warning(
                "The driver lists volumes without a volume condition, which its capabilities promise",
                metadata: [
                    "withoutCondition": .stringConvertible(summary.withoutHealth),
                    "volumes": .stringConvertible(summary.volumes),
                ]
            )
        }
    }
}

/// What a sweep saw, for the log.
private struct SweepSummary {
    var volumes = 0
    var abnormal = 0
    var withoutHealth = 0
}
