// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import CSIClient
import Logging
import VolumeHealth

extension HealthMonitor {
    /// Asks the driver for all volumes, at every interval, for ever.
    ///
    /// The driver is identified before each sweep: it may have been restarted or upgraded since the last one.
    func sweep(into state: MonitorState) async throws {
        await state.synced.wait()
        var schedule = SweepSchedule(interval: configuration.listVolumesInterval)
        var wasCapable: Bool?
        while true {
            let identity = try await driver.identify(clock: clock)
            guard identity.name == configuration.driverName else {
                throw DriverChangedError(expected: configuration.driverName, found: identity.name)
            }
            if identity.listsVolumeConditions != wasCapable {
                logCapability(of: identity)
                wasCapable = identity.listsVolumeConditions
            }
            schedule.begin(at: now)
            let isComplete = identity.listsVolumeConditions ? try await sweepOnce(into: state) : true
            let next = schedule.end(complete: isComplete, at: now)
            try await clock.sleep(until: instant(at: next), tolerance: nil)
        }
    }

    private func logCapability(of identity: DriverIdentity) {
        let metadata: Logger.Metadata = ["driver": "\(identity.name)", "version": "\(identity.vendorVersion)"]
        if identity.listsVolumeConditions {
            logger.info("Monitoring the driver's volumes by ListVolumes", metadata: metadata)
        } else {
            logger.error(
                """
                The driver does not tell the condition of its volumes: it needs the controller capabilities \
                LIST_VOLUMES and VOLUME_CONDITION. Nothing is monitored; it is asked again at every interval
                """,
                metadata: metadata
            )
        }
    }

    /// Returns whether the list was complete.
    private func sweepOnce(into state: MonitorState) async throws -> Bool {
        var summary = SweepSummary()
        let began = now
        state.withReconciler { $0.beginSweep() }
        var failure: CSIError?
        do {
            for try await page in driver.listVolumes() {
                let received = now
                state.withReconciler { reconciler in
                    for volume in page {
                        summary.count(volume)
                        if let report = VolumeHealthReport(volume) {
                            reconciler.receive(report, at: received)
                        }
                    }
                }
                state.reportable.signal()
            }
        } catch {
            failure = error
        }
        try Task.checkCancellation()
        let ended = now
        let isComplete = failure == nil
        state.withReconciler { $0.endSweep(complete: isComplete, at: ended) }
        state.reportable.signal()
        log(summary, failure: failure, duration: ended - began)
        return isComplete
    }

    private func log(_ summary: SweepSummary, failure: CSIError?, duration: Duration) {
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
        if summary.withoutCondition > 0 {
            logger.warning(
                "The driver listed volumes without a volume condition, which its capabilities promise: taken as unknown",
                metadata: ["volumes": "\(summary.withoutCondition)"]
            )
        }
    }
}

/// What a sweep saw, for the log.
private struct SweepSummary {
    var volumes = 0
    var abnormal = 0
    var withoutCondition = 0

    mutating func count(_ volume: DriverVolume) {
        volumes += 1
        guard let condition = volume.condition else {
            withoutCondition += 1
            return
        }
        if condition.isAbnormal { abnormal += 1 }
    }
}

extension VolumeHealthReport {
    /// nil when the driver said nothing of the volume.
    init?(_ volume: DriverVolume) {
        guard let condition = volume.condition else { return nil }
        self.init(
            volumeHandle: volume.id,
            conditions: condition.isAbnormal ? [VolumeHealthCondition(abnormalMessage: condition.message)] : []
        )
    }
}
