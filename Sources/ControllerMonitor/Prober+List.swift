// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import CSIClient
import ControllerCore
import HealthCore
import HealthRuntime
import KubernetesClient
import Logging

/// The counts of a sweep, for the log.
private struct SweepSummary {
    var volumes = 0
    var abnormal = 0
    var withoutHealth = 0
}

extension Prober {
    /// Lists all volumes. ``probeVolumes()`` probes those whose absence a call is to confirm, so that a driver that
    /// does not respond to such calls delays no list.
    ///
    /// - Returns: whether the list was complete.
    /// - Throws: only `CancellationError`.
    func sweep(_ generation: ProbeStrategy.Generation, canConfirm: Bool) async throws -> Bool {
        var summary = SweepSummary()
        let began = now
        context.state.withLock { $0.beginSweep(at: began) }
        try await context.gate.haltUnlessLeading()
        let failure = await list(generation, &summary)
        try Task.checkCancellation()
        if let failure = failure as? CSIError {
            context.dependencies.failed(.calls, reason: "\(failure)", since: began)
        } else if failure == nil {
            context.dependencies.succeeded(.calls)
        }
        let ended = now
        let end: HealthState.SweepEnd =
            if failure != nil {
                .incomplete
            } else {
                .complete(generation == .legacy ? .everyVolume : .unhealthyVolumes, canConfirm: canConfirm)
            }
        let (absent, problem, isContradicted) = context.state.update { state in
            let wasContradicted = state.callsContradictLists
            let absent = state.endSweep(end, at: ended)
            return (absent, state.listProblem, state.callsContradictLists && !wasContradicted)
        }
        if isContradicted {
            context.logger.warning(
                "Calls for single volumes contradict the driver's list, these volumes are no longer probed between lists"
            )
        }
        log(summary, absent: absent.count, failure: failure, duration: ended - began)
        guard failure == nil else { return false }
        if setListProblem(problem) { log(problem, canConfirm: canConfirm) }
        if problem == nil {
            sweepEnded(at: ended)
            context.observer(.sweepCompleted(duration: ended - began))
        }
        return true
    }

    /// Returns the error that ended the list; nil when the list is complete.
    private func list(_ generation: ProbeStrategy.Generation, _ summary: inout SweepSummary) async -> (any Error)? {
        do {
            switch generation {
            case .legacy:
                for try await page in context.driver.listVolumes() {
                    receive(page, &summary)
                    try await context.gate.haltUnlessLeading()
                }
            case .health:
                let secrets = try await secretsOfAllVolumes()
                for try await page in context.driver.listVolumeHealth(secrets: secrets) {
                    receive(page, &summary)
                    try await context.gate.haltUnlessLeading()
                }
            }
            return nil
        } catch {
            return error
        }
    }

    private func receive(_ page: [DriverVolume], _ summary: inout SweepSummary) {
        let received = now
        context.dependencies.succeeded(.driver)
        summary.volumes += page.count
        let (abnormal, withoutHealth) = context.state.update { state in
            var abnormal = 0
            var withoutHealth = 0
            for volume in page {
                if let report = VolumeHealthReport(volume) {
                    if !report.isHealthy { abnormal += 1 }
                    state.receive(report, at: received)
                } else {
                    withoutHealth += 1
                    state.receive(listedWithoutHealth: volume.id, at: received)
                }
            }
            return (abnormal, withoutHealth)
        }
        summary.abnormal += abnormal
        summary.withoutHealth += withoutHealth
    }

    private func receive(_ page: [DriverVolumeHealth], _ summary: inout SweepSummary) {
        let received = now
        context.dependencies.succeeded(.driver)
        let reports = page.map { VolumeHealthReport($0, observer: context.observer) }
        summary.volumes += page.count
        summary.abnormal += reports.count { !$0.isHealthy }
        context.state.update { state in
            for report in reports { state.receive(report, at: received) }
        }
    }

    /// Stores the problem of the list. Returns whether its kind has changed.
    private func setListProblem(_ new: ListProblem?) -> Bool {
        withTerm { term in
            defer { term.listProblem = new }
            switch (term.listProblem, new) {
            case (nil, nil), (.noConditions, .noConditions), (.foreignIDs, .foreignIDs): return false
            default: return true
            }
        }
    }

    /// Stores whether some volumes are listed without a condition. Returns whether this has changed.
    private func setListsSomeWithoutCondition(_ new: Bool) -> Bool {
        withTerm { term in
            defer { term.listsSomeWithoutCondition = new }
            return term.listsSomeWithoutCondition != new
        }
    }
}

// MARK: Logs

extension Prober {
    /// Whether no list has failed for this cause since the last complete list. The readiness check `last-sweep` repeats
    /// a lasting failure.
    private func isFirstSinceCompleteList(_ failure: any Error) -> Bool {
        let cause =
            switch failure {
            case let failure as CSIError: "\(failure.code)"
            case let failure as KubernetesError: "Secret: \(failure.code)"
            default: "\(failure)"
            }
        return withTerm { $0.loggedListFailures.insert(cause).inserted }
    }

    private func log(_ problem: ListProblem?, canConfirm: Bool) {
        var metadata: Logger.Metadata = ["method": "ListVolumes"]
        if canConfirm { metadata["fallback"] = "ControllerGetVolume" }
        switch problem {
        case nil:
            context.logger.notice("The driver's list of volumes is usable again", metadata: metadata)
        case .noConditions:
            context.logger.warning("The driver's list of volumes has no volume conditions", metadata: metadata)
        case .foreignIDs(let volumeID, let volumeHandle):
            metadata["volumeID"] = "\(volumeID)"
            metadata["volumeHandle"] = "\(volumeHandle)"
            context.logger.warning(
                "The driver's list has no volume of any of its PersistentVolumes",
                metadata: metadata
            )
        }
    }

    private func log(_ summary: SweepSummary, absent: Int, failure: (any Error)?, duration: Duration) {
        var metadata: Logger.Metadata = [
            "volumes": .stringConvertible(summary.volumes),
            "abnormal": .stringConvertible(summary.abnormal),
            "duration": .stringConvertible(duration),
        ]
        if let failure {
            metadata["err"] = "\(failure)"
            context.logger.log(
                level: isFirstSinceCompleteList(failure) ? .error : .debug,
                failure is KubernetesError
                    ? "Failed to get the Secret for the list of volumes, retrying"
                    : "Failed to list volumes, retrying",
                metadata: metadata
            )
        } else {
            withTerm { $0.loggedListFailures = [] }
            if absent > 0 { metadata["absent"] = .stringConvertible(absent) }
            context.logger.debug("Listed all volumes", metadata: metadata)
        }
        let isPartial = summary.withoutHealth > 0 && summary.withoutHealth < summary.volumes
        if failure == nil, setListsSomeWithoutCondition(isPartial), isPartial {
            context.logger.warning(
                "The driver lists volumes without a volume condition, which its capabilities promise",
                metadata: [
                    "withoutCondition": .stringConvertible(summary.withoutHealth),
                    "volumes": .stringConvertible(summary.volumes),
                ]
            )
        }
    }
}
