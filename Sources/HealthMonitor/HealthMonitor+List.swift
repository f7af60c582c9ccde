// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import CSIClient
import Logging
import Synchronization
import VolumeHealth

extension HealthMonitor {
    /// Asks for all volumes by a list. Returns whether the list was complete.
    func sweep(
        _ generation: ProbeStrategy.Generation,
        canConfirm: Bool,
        into state: MonitorState
    ) async throws -> Bool {
        var summary = SweepSummary()
        let began = now
        state.withReconciler { $0.beginSweep() }
        var failure: (any Error)?
        try await untilMayAct()
        do {
            switch generation {
            case .legacy:
                for try await page in driver.listVolumes() {
                    receive(page, into: state, &summary)
                    try await untilMayAct()
                }
            case .health:
                let secrets = try await listSecrets(state)
                for try await page in driver.listVolumeHealth(secrets: secrets) {
                    receive(page, into: state, &summary)
                    try await untilMayAct()
                }
            }
        } catch {
            failure = error
        }
        try Task.checkCancellation()
        let ended = now
        let end: Reconciler.SweepEnd =
            if failure != nil {
                .incomplete
            } else {
                .complete(generation == .legacy ? .everyVolume : .adverseVolumes, canConfirm: canConfirm)
            }
        let absent = state.update { $0.endSweep(end, at: ended) }
        log(summary, failure: failure, duration: ended - began)
        if failure == nil {
            try await confirm(absent, generation, into: state)
            observer(.sweepCompleted(duration: ended - began))
        }
        return failure == nil
    }

    private func receive(_ page: [DriverVolume], into state: MonitorState, _ summary: inout SweepSummary) {
        let received = now
        summary.volumes += page.count
        let (abnormal, withoutHealth) = state.update { reconciler in
            var abnormal = 0
            var withoutHealth = 0
            for volume in page {
                if let report = VolumeHealthReport(volume) {
                    if !report.isHealthy { abnormal += 1 }
                    reconciler.receive(report, at: received)
                } else {
                    withoutHealth += 1
                    reconciler.receive(listedWithoutHealth: volume.id, at: received)
                }
            }
            return (abnormal, withoutHealth)
        }
        summary.abnormal += abnormal
        summary.withoutHealth += withoutHealth
    }

    private func receive(_ page: [DriverVolumeHealth], into state: MonitorState, _ summary: inout SweepSummary) {
        let received = now
        let reports = page.map { VolumeHealthReport($0, observer: observer) }
        summary.volumes += page.count
        summary.abnormal += reports.count { !$0.isHealthy }
        state.update { reconciler in
            for report in reports { reconciler.receive(report, at: received) }
        }
    }

    /// Asks for single volumes that a complete list does not have (rule 4).
    private func confirm(
        _ absent: [String],
        _ generation: ProbeStrategy.Generation,
        into state: MonitorState
    ) async throws {
        guard !absent.isEmpty else { return }
        logger.debug("Asking for volumes that are not in the list", metadata: ["volumes": "\(absent.count)"])
        let remaining = RemainingVolumes(absent)
        let failures = ProbeFailures()
        try await dispatch(atMost: configuration.workerThreads, wakeUp: WakeUp(), clock: clock) {
            // Of those that are left when the driver goes away, the next list asks again.
            failures.isInterrupted ? .stop : remaining.next().map { .run($0) } ?? .stop
        } run: { handle in
            let answer = try await ask(for: handle, generation, failures, state)
            let received = now
            state.update { $0.receive(answer, ofVolumeHandle: handle, at: received) }
        }
    }

    private func log(_ summary: SweepSummary, failure: (any Error)?, duration: Duration) {
        var metadata: Logger.Metadata = [
            "volumes": "\(summary.volumes)",
            "abnormal": "\(summary.abnormal)",
            "duration": "\(duration)",
        ]
        if let failure {
            metadata["error"] = "\(failure)"
            logger.error("The list of volumes is incomplete: nothing is cleared, trying again soon", metadata: metadata)
        } else {
            logger.debug("Listed all volumes", metadata: metadata)
        }
        if summary.withoutHealth > 0 {
            logger.warning(
                "The driver listed volumes without a volume condition, which its capabilities promise: taken as unknown",
                metadata: ["volumes": "\(summary.withoutHealth)"]
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

/// Volumes that are still to be asked for.
private final class RemainingVolumes: Sendable {
    private let handles: Mutex<[String]>

    init(_ handles: [String]) {
        self.handles = Mutex(handles.reversed())
    }

    func next() -> String? { handles.withLock { $0.popLast() } }
}
