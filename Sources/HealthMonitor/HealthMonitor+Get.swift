// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import CSIClient
import Logging
import Synchronization
import VolumeHealth

extension HealthMonitor {
    /// Probes single volumes as the core's schedule says, for ever: all of them where the driver has no list, otherwise those
    /// that its lists leave open. While the driver cannot be reached nothing is probed.
    func probeVolumes(into state: MonitorState) async throws {
        try await dispatch(atMost: configuration.workerThreads, wakeUp: state.probeable, clock: clock) {
            () -> DispatchStep<String, C.Instant> in
            let asked = now
            guard !state.probing.isPaused, state.generation != nil else { return .wait(until: nil) }
            let (isComplete, interval, step) = state.withReconciler { reconciler in
                let isComplete = reconciler.completedRound(at: asked)
                return (isComplete, reconciler.keptProbeInterval, reconciler.nextProbe(at: asked))
            }
            if isComplete { observer(.sweepCompleted(duration: interval ?? configuration.monitorInterval)) }
            switch step {
            case .probe(let handle): return .run(handle)
            case .wait(let due): return .wait(until: due.map(instant(at:)))
            }
        } run: { handle in
            guard let generation = state.generation else { return }
            let answer = try await ask(for: handle, generation, state)
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
            if state.probing.isFirst(like: failure) {
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
                state.probing.pause()
                state.interrupted.signal()
                return .interrupted
            }
            return .failed
        }
    }
}

/// Whether single volumes can be probed, and what went wrong with it lately, so that the log does not say it for every volume.
final class Probing: Sendable {
    private struct State {
        var codes: Set<String> = []
        var isPaused = true
    }

    private let state = Mutex(State())

    /// The driver is not identified yet, or cannot be reached.
    var isPaused: Bool { state.withLock { $0.isPaused } }

    func pause() { state.withLock { $0.isPaused = true } }

    /// The driver was identified: calls may begin, and failures are logged anew.
    func resume() { state.withLock { $0 = State(codes: [], isPaused: false) } }

    /// Whether there was none of this kind yet; nil: a failure on the way to the call.
    func isFirst(like failure: CSIError?) -> Bool {
        state.withLock { $0.codes.insert(failure?.code.description ?? "").inserted }
    }
}
