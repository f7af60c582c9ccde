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
        let round = ProbeRound()
        try await dispatch(atMost: configuration.workerThreads, wakeUp: state.probeable, clock: clock) {
            () -> DispatchStep<String, C.Instant> in
            let asked = now
            if asked >= end || round.isInterrupted { return .stop }
            if state.withReconciler({ $0.completedRound(at: asked) }) {
                observer(.sweepCompleted(duration: configuration.monitorInterval))
            }
            switch state.withReconciler({ $0.nextProbe(at: asked) }) {
            case .probe(let handle): return .run(handle)
            case .wait(let due): return .wait(until: instant(at: min(due ?? end, end)))
            }
        } run: { handle in
            let answer = try await ask(for: handle, generation, state)
            if answer == .interrupted { round.interrupt() }
            let received = now
            state.update { $0.receive(answer, ofVolumeHandle: handle, at: received) }
        }
    }

    /// Asks the driver for one volume. A failure is logged, once for all that are like it.
    ///
    /// - Throws: only `CancellationError`.
    func ask(
        for handle: String,
        _ generation: ProbeStrategy.Generation,
        _ state: MonitorState
    ) async throws -> ProbeAnswer {
        do {
            switch generation {
            case .legacy:
                let volume = try await driver.getVolume(id: handle)
                return VolumeHealthReport(volume).map(ProbeAnswer.report) ?? .withoutHealth
            case .health:
                let secrets = try await secrets(ofVolumeHandle: handle, state)
                return .report(report(try await driver.getVolumeHealth(id: handle, secrets: secrets)))
            }
        } catch {
            try Task.checkCancellation()
            guard let failure = error as? CSIError else {
                logFailure(error, volumeHandle: handle)
                return .failed
            }
            if failure.isNotFound { return .notFound }
            logFailure(error, volumeHandle: handle)
            return failure.isUnavailable ? .interrupted : .failed
        }
    }

    private func logFailure(_ error: any Error, volumeHandle: String) {
        logger.warning(
            "Could not ask the driver for a volume: what is known of it stays, trying again later",
            metadata: ["volumeHandle": "\(volumeHandle)", "error": "\(error)"]
        )
    }
}

/// A while of asking for volumes one by one.
private final class ProbeRound: Sendable {
    private let interrupted = Mutex(false)

    var isInterrupted: Bool { interrupted.withLock { $0 } }

    func interrupt() { interrupted.withLock { $0 = true } }
}
