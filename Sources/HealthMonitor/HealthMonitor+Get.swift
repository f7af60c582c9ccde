// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import CSIClient
import Logging
import Synchronization
import VolumeHealth

extension HealthMonitor {
    /// Asks for the volumes one by one, as the core's schedule says, for a while or until the driver cannot be reached.
    func probeVolumes(
        _ generation: ProbeStrategy.Generation,
        for duration: Duration,
        into state: MonitorState
    ) async throws {
        let end = now + duration
        let failures = ProbeFailures()
        try await dispatch(atMost: configuration.workerThreads, wakeUp: state.probeable, clock: clock) {
            () -> DispatchStep<String, C.Instant> in
            let asked = now
            if asked >= end || failures.isInterrupted { return .stop }
            if state.withReconciler({ $0.completedRound(at: asked) }) {
                observer(.sweepCompleted(duration: configuration.monitorInterval))
            }
            switch state.withReconciler({ $0.nextProbe(at: asked) }) {
            case .probe(let handle): return .run(handle)
            case .wait(let due): return .wait(until: instant(at: min(due ?? end, end)))
            }
        } run: { handle in
            let answer = try await ask(for: handle, generation, failures, state)
            let received = now
            state.update { $0.receive(answer, ofVolumeHandle: handle, at: received) }
        }
    }

    /// Asks the driver for one volume.
    ///
    /// - Throws: only `CancellationError`.
    func ask(
        for handle: String,
        _ generation: ProbeStrategy.Generation,
        _ failures: ProbeFailures,
        _ state: MonitorState
    ) async throws -> ProbeAnswer {
        try await untilMayAct()
        do {
            switch generation {
            case .legacy:
                let volume = try await driver.getVolume(id: handle)
                return VolumeHealthReport(volume).map(ProbeAnswer.report) ?? .withoutHealth
            case .health:
                let secrets = try await secrets(ofVolumeHandle: handle, state)
                let health = try await driver.getVolumeHealth(id: handle, secrets: secrets)
                return .report(VolumeHealthReport(health, observer: observer))
            }
        } catch {
            try Task.checkCancellation()
            let failure = error as? CSIError
            if failure?.isNotFound == true { return .notFound }
            if failures.isFirst(like: failure) {
                logger.warning(
                    "Could not ask the driver for a volume: what is known of it stays, it is asked for again later",
                    metadata: ["volumeHandle": "\(handle)", "error": "\(error)"]
                )
            } else {
                logger.debug(
                    "Could not ask the driver for a volume",
                    metadata: ["volumeHandle": "\(handle)", "error": "\(error)"]
                )
            }
            // A driver that answers UNAVAILABLE itself says so of this volume, for instance of its backend.
            if failure?.isUnavailable == true, !driver.isConnected {
                failures.interrupt()
                return .interrupted
            }
            return .failed
        }
    }
}

/// What went wrong in a while of asking for single volumes, so that the log does not say it for every volume.
final class ProbeFailures: Sendable {
    private struct State {
        var codes: Set<String> = []
        var isInterrupted = false
    }

    private let state = Mutex(State())

    /// The driver could not be reached.
    var isInterrupted: Bool { state.withLock { $0.isInterrupted } }

    func interrupt() { state.withLock { $0.isInterrupted = true } }

    /// Whether there was none of this kind yet; nil: a failure on the way to the call.
    func isFirst(like failure: CSIError?) -> Bool {
        state.withLock { $0.codes.insert(failure?.code.description ?? "").inserted }
    }
}
