// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import CSIClient
import GRPCTransport
import HealthCore
import HealthRuntime
import Logging
import NodeCore
import Synchronization

extension DriverMonitor {
    func probeVolumes(of name: String, wakeUp: WakeUp) async throws {
        let state = context.state
        let workerThreads = context.configuration.workerThreads
        let limit: @Sendable () -> Int = { workerThreads }
        try await dispatch(atMost: limit, wakeUp: wakeUp, time: time) {
            let now = self.now
            let (round, step) = state.withLock { state in
                (state.completedRound(of: name, at: now), state.nextProbe(of: name, at: now))
            }
            if let round, round.responses > 0 || round.volumes == 0 {
                self.connection.withLock { $0.lastSweep = now }
            }
            return step
        } run: { probe in
            let outcome = await self.outcome(of: probe)
            let received = self.now
            self.handle(state.update { $0.complete(probe: probe, outcome, at: received) })
            try Task.checkCancellation()
        }
    }

    private func outcome(of probe: NodeProbe) async -> NodeProbeOutcome {
        do throws(CSIError) {
            switch probe.strategy {
            case .health:
                let health = try await client.nodeGetVolumeHealth(
                    id: probe.volumeHandle,
                    publishPath: probe.publishPath,
                    stagingPath: probe.stagingPath
                )
                return .health(VolumeHealthReport(health, observer: context.observer))
            case .legacy:
                guard
                    let condition = try await client.nodeGetVolumeStats(
                        id: probe.volumeHandle,
                        volumePath: probe.publishPath
                    )
                else { return .noCondition }
                return .health(
                    VolumeHealthReport(
                        volumeHandle: probe.volumeHandle,
                        conditions: condition.isAbnormal
                            ? [VolumeHealthCondition(abnormalMessage: condition.message)] : []
                    )
                )
            case .none: return .failed(.other)
            }
        } catch {
            log(error, ["volumeHandle": "\(probe.volumeHandle)", "path": "\(probe.publishPath)"])
            return .failed(NodeProbeFailure(error))
        }
    }

    /// Calls NodeGetStorageHealth, and applies the response.
    func probeStorage(_ probe: StorageProbe) async {
        let outcome: StorageProbeOutcome
        do throws(CSIError) {
            outcome = .health(StorageHealth(try await client.nodeGetStorageHealth()))
        } catch {
            log(error, [:])
            outcome = .failed(NodeProbeFailure(error))
        }
        let received = now
        handle(context.state.update { $0.complete(storageProbe: probe, outcome, at: received) })
    }

    /// Logs a failed call, as ``HealthCore/CallFailures`` decides. ABORTED is ordinary: the kubelet calls the driver
    /// too.
    private func log(_ error: CSIError, _ metadata: Logger.Metadata) {
        guard !Task.isCancelled else { return }
        let isOrdinary = error.code == .status(.aborted)
        let failed = now
        let line = isOrdinary ? .quiet : failures.withLock { $0.failed(code: error.code.description, at: failed) }
        let error: Logger.Metadata = ["driver": "\(client.driverInfo.name)", "err": "\(error)"]
        context.logger.log(
            level: line.level,
            "Failed to get health from the driver, retrying",
            metadata: metadata.merging(error) { $1 }.merging(line.metadata) { $1 }
        )
    }

    /// Logs the kinds of failures that have ended.
    func logEndedFailures() {
        let reviewed = now
        for ended in failures.withLock({ $0.removeEnded(at: reviewed) }) {
            context.logger.notice(
                "Calls for health no longer fail",
                metadata: ended.metadata.merging(["driver": "\(client.driverInfo.name)"]) { $1 }
            )
        }
    }

    func handle(_ changes: [NodeDriverChange]) {
        for change in changes {
            let metadata: Logger.Metadata = ["driver": "\(client.driverInfo.name)"]
            switch change {
            case .startedHanging:
                context.logger.warning(
                    "The driver stopped responding, one call per interval is made until it responds",
                    metadata: metadata
                )
            case .stoppedHanging: context.logger.notice("The driver responded again", metadata: metadata)
            case .capabilitiesOutdated: outdated.signal()
            case .problem(let problem):
                context.logger.error(
                    "Found a problem of the driver",
                    metadata: metadata.merging(["reason": "\(problem.message)"]) { $1 }
                )
            }
        }
    }
}
